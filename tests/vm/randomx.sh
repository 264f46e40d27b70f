# The guard `randomx`, beset: ten thousand threads, threads that end before they can be judged, an agent that stands
# still. It loses what it must, counts that, stays small, and finds the next miner.
# shellcheck shell=sh
. /test/common.sh

settings=/test/settings.yaml
cat >$settings <<'END'
scope: { include: ["/test/box"] }
guards: { command: { rules: [builtin] }, randomx: enforce }
lease: 60s
cgroup_root: /test
journal: { path: /var/lib/journal-test }
END
mkdir -p $cgroups/test/box
most=32768 # KiB that the agent may hold at any time

in_box() { # COMMAND...
	sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' $cgroups/test/box "$@"
}

kills() {
	hayward events --json | grep -c '"killed".*"guard":"randomx"'
}

# Passes where the guard kills what is started in the box, and records that.
found=0
is_found() { # NAME COMMAND...
	name=$1
	shift
	exits "$name" 137 in_box "$@"
	cp /tmp/output /tmp/said
	found=$((found + 1))
	writes "$name-is-recorded" "^$found\$" kills
}

# Passes where the agent runs, enforces, and holds no more memory than it may.
agent_is_well() { # NAME
	peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$agent/status")
	now=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$agent/status")
	echo "$1: the agent holds $now KiB, at most $peak"
	hayward status --json | grep rounding_
	hayward status --json | grep -q '"status": "enforcing"' || {
		show_agent
		failed "$1" "the agent does not enforce"
		return
	}
	if [ "$peak" -le $most ]; then
		passed "$1"
	else
		failed "$1" "it came to hold $peak KiB"
	fi
}

lost() {
	hayward status --json | sed -n 's/.*"rounding_lost": \([0-9]*\).*/\1/p'
}

export HAYWARD_TEST=1
enforces enforces --config $settings
agent_is_well agent-is-well-at-first

echo "== in huge pages"
# Of 2 MiB: 128 for the cache, one for what each hash writes to. The engine compiles nothing, since qemu 7.2 reads 16 bytes
# for cvtdq2pd where processors read 8: past the end of a huge page, where nothing is.
echo 140 >/proc/sys/vm/nr_hugepages
is_found miner-in-huge-pages-is-found randomx-miner --huge-pages --engine interpreter --seconds 90
if grep -q 'no huge pages' /tmp/said; then failed huge-pages-are-there "$(cat /tmp/said)"; else passed huge-pages-are-there; fi
echo 0 >/proc/sys/vm/nr_hugepages

echo "== ten thousand threads"
in_box randomx-rounder --threads 10000 --burst 2 --rest 8000 --seconds 20 >/tmp/rounder 2>&1 &
rounder=$!
sleep 10
agent_is_well agent-is-well-among-ten-thousand-threads
wait $rounder
code=$?
if [ $code = 0 ]; then passed ten-thousand-threads; else failed ten-thousand-threads "$code: $(cat /tmp/rounder)"; fi
agent_is_well agent-is-well-after-ten-thousand-threads

echo "== threads that end before they can be judged"
exits short-lived-threads 0 in_box randomx-rounder --threads 64 --burst 1 --life 0 --seconds 15
agent_is_well agent-is-well-after-short-lived-threads

echo "== an agent that stands still"
# As many threads as are seen some eight times in a second before they end: a thread's first samples are sent singly, so
# these fill the ring soonest.
in_box randomx-rounder --threads 64 --burst 10 --life 1000 --seconds 300 >/dev/null 2>&1 &
rounder=$!
before=$(lost)
# Until the ring overflows: how soon depends on how slow this machine is. Shorter than the lease.
for seconds in 15 30 50; do
	kill -STOP $agent
	sleep $seconds
	kill -CONT $agent
	after=$(lost)
	[ "$after" -gt "$before" ] && break
done
echo 1 >$cgroups/test/box/cgroup.kill
wait $rounder
if [ "$after" -gt "$before" ]; then passed losses-are-counted; else failed losses-are-counted "$before, then $after"; fi
agent_is_well agent-is-well-after-it-stood-still
after=$(lost)
writes losses-are-told-by-cause "hayward_events_lost_total\{guard=\"randomx\",cause=\"ring-full\"\} $after\$" \
	wget -q -O - http://127.0.0.1:9752/metrics

echo "== afterwards"
is_found threads-of-a-tenth-of-a-second-are-found randomx-rounder --memory 300 --life 100
is_found one-thread-is-found randomx-rounder --memory 300
agent_is_well agent-is-well-at-last
end_agent TERM
exits uninstall 0 hayward uninstall --config $settings

finish
