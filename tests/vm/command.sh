# The guard `command`, on kernels that can carry it, and that the guard `randomx` finds what the drill plays.
# shellcheck shell=sh
. /test/common.sh

settings=/test/settings.yaml
cat >$settings <<'END'
scope: { include: ["/test/box"] }
guards: { command: { rules: [builtin] } }
lease: 60s
cgroup_root: /test
journal: { path: /var/lib/journal-test }
END
mkdir -p $cgroups/test/box/inner $cgroups/test/box/alone $cgroups/test/outside $cgroups/other

hayward probe | tee /tmp/probe

echo "== in a scope of the test's own"
export HAYWARD_TEST=1
enforces enforces --config $settings
writes is-not-adopted '"adopted": false' hayward status --json
dies banned-dies /test/box $banned
dies banned-dies-in-child-cgroup /test/box/inner $banned
mkdir $cgroups/test/box/new
dies banned-dies-in-new-cgroup /test/box/new $banned
dies banned-dies-in-a-long-line /test/box "$(head -c 100000 /dev/zero | tr '\0' x) $banned"
long=$(head -c 120000 /dev/zero | tr '\0' x)
exits banned-dies-behind-240-kilobytes 137 \
	sh -c "echo \$\$ > $cgroups/test/box/cgroup.procs && exec /test/program $ran \"\$0\" \"\$0\" $banned" "$long"
lives benign-lives /test/box harmless
lives out-of-scope-lives /test/outside $banned
lives out-of-root-lives /other $banned
writes record-is-there '"killed".*"rule":"builtin/test".*"/bin/busybox".*"cgroup":"/test/box/inner"' hayward events --json
writes metrics-count 'hayward_verdicts_total\{guard="command",action="killed"\} 5' \
	wget -q -O - http://127.0.0.1:9752/metrics
deep=/test/box
for _ in $(seq 200); do deep=$deep/x; done
mkdir -p $cgroups$deep
dies banned-dies-two-hundred-levels-down $deep $banned
# A name cannot be banned for a script, whose executable is the shell.
cp /bin/busybox /test/xmrig
exits banned-executable-dies 137 sh -c "echo \$\$ > $cgroups/test/box/cgroup.procs && exec /test/xmrig true"

exits off 0 hayward off
lives banned-lives-while-off /test/box $banned
exits on 0 hayward on
dies banned-dies-when-on-again /test/box $banned

# 60,000 strings take more than 4 MiB. Kernels that have no such map values refuse them, and keep the old rules.
{
	echo 'rules: [{ id: many/strings, reason: test, banned: ['
	seq 60000 | awk '{ printf "\"%08x-of-one-kind\",\n", $1 * 40503 % 2147483648 }'
	echo ']}]'
} >/test/many.yaml
sed "s|builtin|builtin, /test/many.yaml|" $settings >/test/small.yaml
cp $settings /test/kept.yaml
cp /test/small.yaml $settings
if hayward probe | grep -q 'up to 4 MiB'; then
	exits too-many-strings-are-refused 4 hayward reload
	grep -q 'the largest that this kernel takes' /tmp/output || failed refusal-says-why "$(cat /tmp/output)"
else
	exits many-strings-are-taken 0 hayward reload
fi
dies banned-dies-after-many-strings /test/box $banned
mv /test/kept.yaml $settings
exits reload-again 0 hayward reload

echo "== without the agent"
end_agent KILL
exits no-agent-answers 3 hayward status
dies banned-dies-without-agent /test/box/alone $banned
lives benign-lives-without-agent /test/box/alone harmless
exits off-without-agent 0 hayward off --config $settings
lives banned-lives-while-off-without-agent /test/box $banned
exits on-without-agent 0 hayward on --config $settings
dies banned-dies-when-on-again-without-agent /test/box $banned

echo "== with the next agent"
enforces enforces-again --config $settings
writes adopts '"adopted": true' hayward status --json
# The next agent does not know the rules of the one before, so this record names none.
writes record-of-the-gap-is-there '"killed".*"/bin/busybox".*"cgroup":"/test/box/alone"' hayward events --json
dies banned-dies-after-restart /test/box $banned
exits uninstall-is-refused-while-running 5 hayward uninstall --config $settings
end_agent TERM
dies banned-dies-after-stop /test/box $banned
exits uninstall 0 hayward uninstall --config $settings
if [ -z "$(ls -A /sys/fs/bpf)" ]; then
	passed nothing-stays-pinned
else
	failed nothing-stays-pinned "left: $(find /sys/fs/bpf -mindepth 1 | tr '\n' ' ')"
fi
lives banned-lives-after-uninstall /test/box $banned

echo "== with a short lease"
sed 's/60s/2s/' $settings >/test/short.yaml
enforces short-lease-enforces --config /test/short.yaml
sleep 3
dies banned-dies-while-the-lease-is-renewed /test/box $banned
end_agent KILL
sleep 3
lives banned-lives-after-the-lease /test/box $banned
exits short-lease-uninstall 0 hayward uninstall --config /test/short.yaml

echo "== with the capabilities of the unit alone"
as_the_unit
enforces unit-enforces --config $settings
lives unit-benign-lives /test/box harmless
dies unit-banned-dies /test/box $banned
exits unit-reload 0 hayward reload
dies unit-banned-dies-after-reload /test/box $banned
writes unit-lacks-nothing '"problems": \[\]' hayward status --json
end_agent TERM
exits unit-uninstall 0 hayward uninstall --config $settings
launcher=""

echo "== with no settings at all"
unset HAYWARD_TEST
id=$(printf %064x 7)
pod=/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0c8e8ba9_3c1b_4a7e_9d2f_6f0d2c1b0a99.slice
container=$pod/cri-containerd-$id.scope
runtime=/system.slice/containerd.service
mkdir -p "$cgroups$container" $cgroups$runtime
start_agent
writes default-enforces 'command  enforcing' hayward status
exits default-enforces-all 0 hayward status --wait enforcing --timeout 30s
show_agent
dies container-dies "$container" $banned
lives container-benign-lives "$container" harmless
new=/system.slice/docker-$id.scope
mkdir "$cgroups$new"
dies new-container-dies "$new" $banned
lives runtime-lives $runtime $banned
lives root-lives / $banned
exits drill 0 hayward drill
writes drill-plays-a-banned-command '"killed".*"rule":"builtin/test".*/docker-' hayward events --json
writes drill-plays-a-miner '"killed".*"guard":"randomx".*/docker-' hayward events --json
end_agent TERM
exits default-uninstall 0 hayward uninstall
lives container-lives-after-uninstall "$container" $banned

echo "== what may be reached"
export HAYWARD_TEST=1
sed 's/command:.*/command: { rules: [builtin] }, egress: { policy: deny, always: [], ban_lists: [\/test\/bans.txt] } }/' $settings >/test/egress.yaml
echo 198.51.100.0/24 >/test/bans.txt
as_the_unit
enforces egress-enforces --config /test/egress.yaml
page() { # PATH OF A CGROUP
	sh -c 'echo $$ > "$0/cgroup.procs" && exec wget -O - http://127.0.0.1:9752/metrics' "$cgroups$1"
}
writes beside-the-workload-it-is-reached hayward_checked_total page /
exits workload-does-not-reach-it 1 page /test/box
cp /tmp/output /tmp/said
writes it-gets-an-error 'Operation not permitted' cat /tmp/said
writes refusal-is-recorded '"denied".*"guard":"egress".*"address":"127.0.0.1"' hayward events --json
exits grant 0 hayward grants add /test/box --for 1h
end_agent KILL
enforces egress-enforces-again --config /test/egress.yaml
writes what-is-granted-is-reached hayward_checked_total page /test/box
exits quarantine 0 hayward quarantine /test/box
exits quarantined-does-not-reach-it 1 page /test/box
exits revoke 0 hayward grants revoke /test/box
writes ban-list-is-in-force /test/bans.txt hayward bans lists
exits grant-of-one-destination 0 hayward grants add /test/box --to "127.0.0.1 9752/tcp"
writes what-is-granted-alone-is-reached hayward_checked_total page /test/box
exits revoke-again 0 hayward grants revoke /test/box
end_agent TERM
exits workload-does-not-reach-it-without-an-agent 1 page /test/box
exits egress-uninstall 0 hayward uninstall --config /test/egress.yaml

echo "== what is reached by its name"
sed 's/command:.*/command: { rules: [builtin] }, egress: { policy: allow, always: [], allow: ["127.0.0.1 53", "pypi.example 9752\/tcp"], resolvers: [127.0.0.1], may_cut_node: true, ban_lists: [\/test\/bans.txt] } }/' $settings >/test/names.yaml
echo pool.example >/test/bans.txt
enforces names-enforce --config /test/names.yaml
nameserver &
nameserver=$!
asks() { # PATH OF A CGROUP, NAME
	sh -c 'echo $$ > "$0/cgroup.procs" && exec nslookup -type=a "$1" 127.0.0.1' "$cgroups$1" "$2"
}
until asks / pypi.example >/dev/null 2>&1; do :; done
exits before-it-asks-it-does-not-reach-it 1 page /test/box
exits it-asks-for-another 0 asks /test/box other.example
exits by-that-it-does-not-reach-it 1 page /test/box
exits it-asks-for-the-name 0 asks /test/box pypi.example
writes now-it-reaches-it hayward_checked_total page /test/box
exits banned-name-is-not-asked-for 1 asks /test/box a.pool.example
writes the-name-is-recorded '"denied".*"guard":"egress".*"name":"a.pool.example"' hayward events --json
kill $nameserver
end_agent TERM
exits names-uninstall 0 hayward uninstall --config /test/names.yaml

echo "== who mines"
sed 's/command:.*/command: { rules: [builtin] }, pool: {} }/' $settings >/test/pool.yaml
enforces pool-enforces --config /test/pool.yaml
says() { # WHAT, from the workload to somebody who listens
	nc -l -p 3333 </dev/null >/tmp/heard &
	listens=$!
	until netstat -lnt | grep -q ':3333 '; do :; done
	timeout 3 sh -c 'echo $$ > "$0/cgroup.procs" && echo "$1" | nc 127.0.0.1 3333' "$cgroups/test/box" "$1"
	kill $listens 2>/dev/null
	echo "heard: $(cat /tmp/heard)"
}
writes something-else-arrives '^heard: hello$' says hello
writes a-login-does-not '^heard: $' says '{"id":1,"method":"login","params":{"login":"wallet","pass":"x","agent":"miner"}}'
writes mining-is-recorded '"denied".*"guard":"pool".*"dialect":"monero"' hayward events --json
end_agent TERM
exits pool-uninstall 0 hayward uninstall --config /test/pool.yaml

echo "== who scans"
sed 's/command:.*/command: { rules: [builtin] }, outbound: {} }/' $settings >/test/outbound.yaml
enforces outbound-enforces --config /test/outbound.yaml
busybox ip addr add 10.1.0.1/32 dev lo
scan() { # PATH OF A CGROUP
	sh -c 'echo $$ > "$0/cgroup.procs"; for port in 1 2 3 4 5 6 7 8 9; do wget -O - "http://10.1.0.1:$port"; done' "$cgroups$1" >/tmp/said 2>&1
	echo "$(grep -c refused /tmp/said) $(grep -c 'not permitted' /tmp/said)"
}
# Where nobody is to be expected, a refusal counts twice.
writes scan-is-stopped '^3 6$' scan /test/box
writes beside-the-workload-it-is-not '^9 0$' scan /
writes scan-is-recorded '"denied".*"guard":"outbound".*"refused":3' hayward events --json
end_agent KILL
writes scan-is-stopped-without-an-agent '^0 9$' scan /test/box
enforces outbound-enforces-again --config /test/outbound.yaml
writes scan-is-still-stopped '^0 9$' scan /test/box
exits release-who-scanned 0 hayward release /test/box
# Of those that it knew, nothing is counted again.
writes it-begins-anew '^6 3$' scan /test/box
end_agent TERM
exits outbound-uninstall 0 hayward uninstall --config /test/outbound.yaml

echo "== who makes packets by itself"
packets=/test/packets.yaml
packets_are() { # HOW SETTINGS HAVE IT
	sed "s/command:.*/command: { rules: [builtin] }, outbound: { packet_sockets: $1 } }/" $settings >$packets
}
makes_in() { # PATH OF A CGROUP, SOCKET, WAY
	sh -c 'echo $$ > "$0/cgroup.procs" && exec makes "$@"' "$cgroups$1" "$2" "$3"
}
refused=0
grep -q '^lsm  *yes' /tmp/probe && refused=1
case "$(uname -m) $(uname -r)" in
"x86_64 5.1"[1-9]* | "x86_64 6."*) writes bpf-lsm-runs "^1$" echo $refused ;;
esac
packets_are deny
if [ $refused = 1 ]; then
	enforces denied-packets-enforce --config $packets
	exits packet-socket-is-refused 1 makes_in /test/box packet
	exits packet-socket-is-refused-below 1 makes_in "$deep" packet
	exits xdp-socket-is-refused 1 makes_in /test/box xdp
	[ "$(uname -m)" = x86_64 ] && exits packet-socket-of-32-bits-is-refused 1 makes_in /test/box packet narrow
	case "$(uname -r)" in
	6.*) exits packet-socket-by-io-uring-is-refused 1 makes_in /test/box packet uring ;;
	esac
	writes refusal-of-a-packet-socket-is-recorded '"denied".*"comm":"makes".*"limit":"packet-socket"' hayward events --json
else
	answers --config $packets
	writes what-is-missing-is-told 'outbound +degraded: packet sockets are made all the same' hayward status
	exits packet-socket-is-made 0 makes_in /test/box packet
fi
exits raw-socket-is-refused 1 makes_in /test/box raw
exits raw-socket-of-ipv6-is-refused 1 makes_in /test/box raw6
writes refusal-of-a-raw-socket-is-recorded '"denied".*"comm":"makes".*"limit":"raw-socket"' hayward events --json
exits beside-the-workload-a-packet-socket-is-made 0 makes_in / packet
exits beside-the-workload-a-raw-socket-is-made 0 makes_in /test/outside raw
exits switch-outbound-off 0 hayward off --guard outbound
exits while-off-a-packet-socket-is-made 0 makes_in /test/box packet
exits switch-outbound-on 0 hayward on --guard outbound
packets_are observe
exits reload-to-observe 0 hayward reload
exits observed-packet-socket-is-made 0 makes_in /test/box packet
exits observed-raw-socket-is-made 0 makes_in /test/box raw
packets_are kill
exits reload-to-kill 0 hayward reload
exits who-wants-a-raw-socket-is-killed 137 makes_in /test/box raw stays
[ $refused = 1 ] && exits who-wants-a-packet-socket-is-killed 137 makes_in /test/box packet stays
end_agent KILL
exits packet-socket-without-an-agent $refused makes_in /test/box packet
answers --config $packets
writes packets-next-agent-adopts '"adopted": true' hayward status --json
exits packet-socket-with-the-next-agent $refused makes_in /test/box packet
end_agent TERM
exits packets-uninstall 0 hayward uninstall --config $packets
exits packet-socket-after-uninstall 0 makes_in /test/box packet
exits raw-socket-after-uninstall 0 makes_in /test/box raw
launcher=""

echo "== inbound"
# These machines have no interface but their own loopback: that the programs are carried, and drop what is banned, shows by
# what is missing then, which is the interface alone.
unset HAYWARD_TEST
sed 's/command:.*/inbound: { interfaces: [none0] } }/' $settings >/test/inbound.yaml
answers --config /test/inbound.yaml
writes inbound-is-carried-and-waits-for-its-interface 'inbound +degraded: .*none0' hayward status
exits ban-by-hand 0 hayward bans add 203.0.113.0/24 --for 1h
writes ban-is-listed '203\.0\.113\.0/24' hayward bans list
end_agent KILL
answers --config /test/inbound.yaml
writes ban-outlives-the-agent '203\.0\.113\.0/24' hayward bans list
exits ban-is-lifted 0 hayward bans remove 203.0.113.0/24
end_agent TERM
sed 's/\[none0\]/[none0], sources: 4194304/' /test/inbound.yaml >/test/sources.yaml
answers --config /test/sources.yaml
writes a-table-over-the-machines-memory-is-refused 'takes 800 MiB, which is more than half .* set `sources`' hayward status
end_agent TERM
exits inbound-uninstall 0 hayward uninstall --config /test/inbound.yaml

echo "== where rounding alone is evidence"
export HAYWARD_TEST=1
sed 's/command:.*/randomx: { evidence: rounding } }/' $settings >/test/rounding.yaml
in_box() { # PROGRAM ARGUMENT...
	sh -c "echo \$\$ > $cgroups/test/box/cgroup.procs && exec \"\$@\"" in_box "$@"
}
enforces rounding-enforces --config /test/rounding.yaml
exits threads-of-one-mode-each-live 0 in_box rounding 4 threads
exits long-turns-live 0 in_box rounding 5 1000
writes they-were-seen 'hayward_checked_total.guard="randomx". [1-9][0-9]' wget -q -O - http://127.0.0.1:9752/metrics
exits all-modes-at-random-die 137 in_box rounding 30 call
writes it-is-recorded '"killed".*"guard":"randomx".*rounding 30 call' hayward events --json
end_agent TERM
exits rounding-uninstall 0 hayward uninstall --config /test/rounding.yaml

finish
