# What operators do to whole workloads, where cgroup2 has all controllers: a throttle holds and gives back what was
# there, and a fork bomb stands still and ends.
# shellcheck shell=sh
. /test/common.sh

settings=/test/settings.yaml
cat >$settings <<'END'
scope: { include: ["/test/box/*"] }
guards: { command: { rules: [builtin] } }
lease: 60s
cgroup_root: /test
journal: { path: /var/lib/journal-test }
END
box=$cgroups/test/box
mkdir -p $box
for folder in $cgroups $cgroups/test $box; do
	echo "+cpu +pids" >$folder/cgroup.subtree_control
done
job=$box/job
mkdir $job

in_job() { # COMMAND...
	sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' $job "$@"
}

used() {
	sed -n 's/^usage_usec //p' $job/cpu.stat
}

# Percent of one processor that the job uses within some seconds.
share() { # SECONDS
	before=$(used)
	began=$(cut -d' ' -f1 /proc/uptime)
	sleep "$1"
	after=$(used)
	ended=$(cut -d' ' -f1 /proc/uptime)
	awk "BEGIN { printf \"%d\", ($after - $before) / ($ended - $began) / 10000 }"
}

# The bounds of shares are wide: where the host is busy, an emulated processor stands still and its clock does not.
is_between() { # NAME LEAST MOST NUMBER
	echo "$1: $4"
	if [ "$4" -ge "$2" ] && [ "$4" -le "$3" ]; then passed "$1"; else failed "$1" "$4 is not between $2 and $3"; fi
}

holds() { # NAME FILE TEXT
	text=$(cat "$job/$2")
	if [ "$text" = "$3" ]; then passed "$1"; else failed "$1" "$2 holds $text and not $3"; fi
}

export HAYWARD_TEST=1
enforces enforces --config $settings

echo "== throttled"
in_job sh -c 'while :; do :; done' &
busy=$!
in_job sh -c 'while :; do :; done' &
also_busy=$!
sleep 1
is_between two-loops-use-more-than-half-a-processor 50 300 "$(share 2)"
exits throttle 0 hayward throttle /test/box/job --share 5%
holds limit-is-set cpu.max "5000 100000"
is_between two-loops-share-a-twentieth-of-a-processor 2 25 "$(share 5)"
writes it-is-listed 'throttled to 5 %' hayward workloads
end_agent KILL
as_the_unit
enforces enforces-again --config $settings
exits release 0 hayward release /test/box/job
holds limit-is-as-before cpu.max "max 100000"
is_between two-loops-run-again 50 300 "$(share 2)"

echo "150000 100000" >$job/cpu.max
exits throttle-below-a-limit 0 hayward throttle /test/box/job --share 20%
holds lower-limit-is-set cpu.max "20000 100000"
is_between two-loops-share-a-fifth-of-a-processor 10 60 "$(share 4)"
exits release-to-a-limit 0 hayward release /test/box/job
holds own-limit-is-as-before cpu.max "150000 100000"
if [ -e $job/cpu.max.burst ]; then
	echo 90000 >$job/cpu.max.burst
	exits throttle-below-a-burst 0 hayward throttle /test/box/job
	holds burst-is-off cpu.max.burst 0
	exits release-to-a-burst 0 hayward release /test/box/job
	holds burst-is-as-before cpu.max.burst 90000
	echo 0 >$job/cpu.max.burst
fi
echo "3000 100000" >$job/cpu.max
writes lower-limit-stays 'nothing to do.*as low already' hayward throttle /test/box/job
holds nothing-is-raised cpu.max "3000 100000"
echo "max 100000" >$job/cpu.max
kill -9 $busy $also_busy

echo "== without the controller"
mkdir -p $job/inner
exits no-controller-no-throttle 5 hayward throttle /test/box/job/inner
writes it-says-what-to-do '[+]cpu to cgroup.subtree_control' sh -c '! hayward throttle /test/box/job/inner'
exits it-freezes-instead 0 hayward throttle /test/box/job/inner --or-freeze
exits thaw-inner 0 hayward thaw /test/box/job/inner
rmdir $job/inner

echo "== a fork bomb"
cat >/test/bomb <<'END'
#!/bin/sh
while :; do /test/bomb & done 2>/dev/null
END
chmod 755 /test/bomb
echo 200 >$job/pids.max
[ -e $job/cgroup.kill ] && echo "this kernel ends a cgroup in one step"
in_job /test/bomb 2>/dev/null &
sleep 4
is_between bomb-goes-off 80 200 "$(cat $job/pids.current)"
exits freeze 0 hayward freeze /test/box/job
is_between bomb-stands-still 0 0 "$(share 2)"
exits thaw 0 hayward thaw /test/box/job
sleep 1
is_between bomb-goes-on 80 200 "$(cat $job/pids.current)"
exits kill-workload 0 hayward kill-workload /test/box/job
cat /tmp/output
sleep 1
holds nothing-is-left cgroup.procs ""
holds it-is-not-frozen cgroup.freeze 0
exits the-cgroup-is-empty 0 rmdir $job
writes it-is-recorded '"workload-killed".*"cgroup":"/test/box/job"' hayward events --json

end_agent TERM
exits uninstall 0 hayward uninstall --config $settings

finish
