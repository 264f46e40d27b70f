# What the tests of the virtual machines share. Markers on the console are what `cargo run -p xtask -- vm` reads.
# shellcheck shell=sh

banned=hayward-test-5f2c9b1e # the rule builtin/test
cgroups=/sys/fs/cgroup
ran=/tmp/ran # there once the program under test has run
tests=0
agent=""

passed() { # NAME
	tests=$((tests + 1))
	echo "VM-TEST $1 ok"
}

failed() { # NAME WHY
	tests=$((tests + 1))
	echo "VM-TEST $1 FAIL $2"
}

finish() {
	echo "VM-DONE $tests"
}

# A program that leaves a trace when it runs.
mkdir -p /test
cat >/test/program <<'END'
#!/bin/sh
echo ran > "$1"
END
chmod 755 /test/program


# Runs the program with one more argument in a cgroup: sets `code` and `trace`.
try() { # CGROUP ARGUMENT
	rm -f $ran
	sh -c 'echo $$ > "$0/cgroup.procs" && exec /test/program "$1" "$2"' "$cgroups$1" $ran "$2"
	code=$?
	trace=no
	[ -e $ran ] && trace=yes
}

dies() { # NAME CGROUP ARGUMENT
	try "$2" "$3"
	if [ $code != 137 ]; then
		failed "$1" "its exit code is $code and not 137, for SIGKILL; it ran: $trace"
	elif [ $trace = yes ]; then
		failed "$1" "it was killed after it had run"
	else
		passed "$1"
	fi
}

lives() { # NAME CGROUP ARGUMENT
	try "$2" "$3"
	if [ $code = 0 ] && [ $trace = yes ]; then
		passed "$1"
	else
		failed "$1" "its exit code is $code and not 0; it ran: $trace"
	fi
}

# Passes where a command ends with an exit code; what it writes is in /tmp/output.
exits() { # NAME CODE COMMAND...
	name=$1
	wanted=$2
	shift 2
	"$@" >/tmp/output 2>&1
	code=$?
	if [ $code = "$wanted" ]; then
		passed "$name"
	else
		cat /tmp/output
		failed "$name" "\`$*\` ended with $code and not $wanted"
	fi
}

# Passes where a command succeeds and writes what matches a pattern of grep -E. Asks again for a while.
writes() { # NAME PATTERN COMMAND...
	name=$1
	pattern=$2
	shift 2
	for _ in $(seq 50); do
		if "$@" >/tmp/output 2>&1 && grep -qE "$pattern" /tmp/output; then
			passed "$name"
			return
		fi
		sleep 0.1
	done
	cat /tmp/output
	failed "$name" "\`$*\` does not write $pattern"
}

launcher="" # a command that becomes the agent

# From here on, agents have the capabilities of the unit alone.
as_the_unit() {
	# Before Linux 5.11, maps count as locked memory; the unit has as much of it as it wants.
	ulimit -l "$(sed -n 's/^LimitMEMLOCK=infinity/unlimited/p' /test/hayward.service)"
	set=$(sed -n 's/^CapabilityBoundingSet=//p' /test/hayward.service | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
	launcher="setpriv.util-linux --no-new-privs --bounding-set -all,$set"
}

start_agent() { # ARGUMENT...
	# shellcheck disable=SC2086 # words of a command
	$launcher hayward run "$@" >/tmp/agent.log 2>&1 &
	agent=$!
}

# The agent's own words, for the console of a failure.
show_agent() {
	echo "-- the agent's log"
	cat /tmp/agent.log
	echo "--"
}

# Nothing that comes after can pass where the agent does not enforce, so the script ends here.
enforces() { # NAME ARGUMENT...
	name=$1
	shift
	start_agent "$@"
	exits "$name" 0 hayward status --wait enforcing --timeout 120s
	show_agent
	[ $code = 0 ] && return
	hayward status
	finish
	exit 1
}

# An agent that may be less than enforcing.
answers() { # ARGUMENT...
	start_agent "$@"
	for _ in $(seq 600); do
		hayward status >/dev/null 2>&1 && return
		sleep 0.2
	done
	show_agent
}

end_agent() { # SIGNAL
	kill "-$1" "$agent"
	wait "$agent"
	echo "the agent ended with $?"
}
