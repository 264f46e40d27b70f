# The guard `command`, on kernels that can carry it.
# shellcheck shell=sh
. /test/common.sh

mkdir -p $cgroups/test/box/inner $cgroups/test/outside
cat >/test/settings.yaml <<'END'
scope: { include: ["/test/box"] }
guards: { command: { rules: [builtin] } }
lease: 60s
cgroup_root: /test
journal: { path: /var/lib/journal-test }
END

hayward probe

echo "== in a scope of the test's own"
export HAYWARD_TEST=1
start_agent --config /test/settings.yaml
exits enforces 0 hayward status --wait enforcing --timeout 60s
show_agent
writes is-not-adopted '"adopted": ?false' hayward status --json
dies banned-dies /test/box $banned
dies banned-dies-in-child-cgroup /test/box/inner $banned
mkdir $cgroups/test/box/new
dies banned-dies-in-new-cgroup /test/box/new $banned
lives benign-lives /test/box harmless
lives out-of-scope-lives /test/outside $banned
lives out-of-root-lives / $banned
writes record-is-there '"action": ?"killed".*"rule": ?"builtin/test".*hayward-test-5f2c9b1e' hayward events --json
writes metrics-count 'hayward_.*3$' wget -q -O - http://127.0.0.1:9752/metrics

exits off 0 hayward off
lives banned-lives-while-off /test/box $banned
exits on 0 hayward on
dies banned-dies-when-on-again /test/box $banned

echo "== without the agent"
end_agent KILL
exits no-agent-answers 3 hayward status
rm -f /tmp/output
dies banned-dies-without-agent /test/box/inner $banned
lives benign-lives-without-agent /test/box harmless
exits off-without-agent 0 hayward off --config /test/settings.yaml
lives banned-lives-while-off-without-agent /test/box $banned
exits on-without-agent 0 hayward on --config /test/settings.yaml
dies banned-dies-when-on-again-without-agent /test/box $banned

echo "== with the next agent"
start_agent --config /test/settings.yaml
exits enforces-again 0 hayward status --wait enforcing --timeout 60s
show_agent
writes adopts '"adopted": ?true' hayward status --json
dies banned-dies-after-restart /test/box $banned
exits uninstall-is-refused-while-running 1 hayward uninstall --config /test/settings.yaml
end_agent TERM
dies banned-dies-after-stop /test/box $banned
exits uninstall 0 hayward uninstall --config /test/settings.yaml
if [ -e /sys/fs/bpf/hayward ]; then
	failed nothing-stays-pinned "left: $(find /sys/fs/bpf | tr '\n' ' ')"
else
	passed nothing-stays-pinned
fi
lives banned-lives-after-uninstall /test/box $banned

echo "== with no settings at all"
unset HAYWARD_TEST
container=$(printf %064d 7)
pod=/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0c8e8ba9_3c1b_4a7e_9d2f_5f2c9b1e0000.slice
mkdir -p $cgroups$pod/cri-containerd-"$container".scope $cgroups/system.slice/containerd.service
start_agent
exits default-enforces 0 hayward status --wait enforcing --timeout 60s
show_agent
dies container-dies $pod/cri-containerd-"$container".scope $banned
lives container-benign-lives $pod/cri-containerd-"$container".scope harmless
mkdir -p $cgroups/system.slice/docker-"$container".scope
dies new-container-dies /system.slice/docker-"$container".scope $banned
lives service-lives /system.slice/containerd.service $banned
lives root-lives / $banned
exits drill 0 hayward drill
end_agent TERM
exits default-uninstall 0 hayward uninstall
lives container-lives-after-uninstall $pod/cri-containerd-"$container".scope $banned

finish
