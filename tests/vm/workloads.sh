# What operators and findings do to whole workloads, where cgroup2 has all controllers: a throttle holds and gives back
# what was there, and a fork bomb stands still and ends.
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

# Whether anything lives in the job: 0 or 1.
populated() {
	sed -n 's/^populated //p' $job/cgroup.events
}

# Passes where a command writes a number between two others. It asks again for a while, and the bounds of shares are
# wide: where the host is busy, an emulated processor stands still and its clock does not.
comes_to() { # NAME LEAST MOST COMMAND...
	name=$1
	least=$2
	most=$3
	shift 3
	for _ in $(seq 30); do
		number=$("$@")
		echo "$name: $number"
		if [ "$number" -ge "$least" ] && [ "$number" -le "$most" ]; then
			passed "$name"
			return
		fi
		sleep 1
	done
	failed "$name" "$number is not between $least and $most"
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
comes_to two-loops-use-more-than-half-a-processor 50 300 share 2
exits throttle 0 hayward throttle /test/box/job --share 5%
holds limit-is-set cpu.max "5000 100000"
comes_to two-loops-share-a-twentieth-of-a-processor 2 25 share 5
writes it-is-listed 'throttled to 5 %' hayward workloads
end_agent KILL
as_the_unit
enforces enforces-again --config $settings
exits release 0 hayward release /test/box/job
holds limit-is-as-before cpu.max "max 100000"
comes_to two-loops-run-again 50 300 share 2

echo "150000 100000" >$job/cpu.max
exits throttle-below-a-limit 0 hayward throttle /test/box/job --share 20%
holds lower-limit-is-set cpu.max "20000 100000"
comes_to two-loops-share-a-fifth-of-a-processor 10 60 share 4
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
comes_to bomb-goes-off 80 200 cat $job/pids.current
exits freeze 0 hayward freeze /test/box/job
comes_to bomb-stands-still 0 0 share 2
exits thaw 0 hayward thaw /test/box/job
comes_to bomb-goes-on 80 200 cat $job/pids.current
exits kill-workload 0 hayward kill-workload /test/box/job
cat /tmp/output
comes_to nothing-is-left 0 0 populated
holds it-is-not-frozen cgroup.freeze 0
exits the-cgroup-is-empty 0 rmdir $job
writes it-is-recorded '"workload-killed".*"cgroup":"/test/box/job"' hayward events --json

echo "== because of findings"
end_agent TERM
cat >>$settings <<'END'
strikes: { then: [{ after: 1, response: throttle }, { after: 2, response: kill-workload }] }
throttle: 10%
END
enforces enforces-with-strikes --config $settings
mkdir $job
# The word is that of the rule builtin/test.
dies banned-in-the-workload /test/box/job hayward-test-5f2c9b1e
writes first-strike-throttles '^10000 100000' cat $job/cpu.max
writes it-has-one-strike 'job +1 .*kill-workload at 2' hayward strikes
echo 200 >$job/pids.max
in_job /test/bomb 2>/dev/null &
comes_to second-bomb-goes-off 100 200 cat $job/pids.current
dies banned-beside-the-bomb /test/box/job hayward-test-5f2c9b1e
# Its processes start programs in a tenth of a processor. On this kernel whoever reads of one in /proc waits until it
# has started, for half a minute and longer, unless it does not wait.
comes_to second-strike-ends-all 0 0 populated
writes it-says-why '"workload-killed".*"cause"' hayward events --json

end_agent TERM
exits uninstall 0 hayward uninstall --config $settings

finish
