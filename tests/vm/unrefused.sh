# Packet sockets where BPF LSM is not among the security modules: they are made, and the status says so.
# shellcheck shell=sh
. /test/common.sh

settings=/test/settings.yaml
cat >$settings <<'END'
scope: { include: ["/test/box"] }
guards: { command: { rules: [builtin] }, outbound: { packet_sockets: deny } }
lease: 60s
cgroup_root: /test
END
mkdir -p $cgroups/test/box
makes_in() { # PATH OF A CGROUP, SOCKET
	sh -c 'echo $$ > "$0/cgroup.procs" && exec makes "$1"' "$cgroups$1" "$2"
}
is_degraded() { # NAME WHY
	answers --config $settings
	writes "$1" "outbound +degraded: packet sockets are made all the same.*; $2" hayward status
	exits "$1-and-packet-sockets-are-made" 0 makes_in /test/box packet
	exits "$1-and-raw-ones-are-not" 1 makes_in /test/box raw
	end_agent TERM
}

export HAYWARD_TEST=1
is_degraded told-by-the-list 'BPF LSM is not among the active security modules'
# As in a container: nothing but trying tells.
umount /sys/kernel/security
is_degraded found-by-trying 'this kernel attaches programs of BPF LSM and does not run them'
writes probe-finds-it-too '^lsm +no +.*does not run them' hayward probe
exits uninstall 0 hayward uninstall --config $settings

finish
