# The guard `command`, on kernels that cannot carry it: the agent runs, says so, and stops nothing.
# shellcheck shell=sh
. /test/common.sh

settings=/test/settings.yaml
cat >$settings <<'END'
scope: { include: ["/test/box"] }
guards: { command: { rules: [builtin] } }
lease: 60s
cgroup_root: /test
END
mkdir -p $cgroups/test/box

hayward probe

export HAYWARD_TEST=1
start_agent --config $settings
writes is-absent '"status": "absent"' hayward status --json
cat /tmp/output
show_agent
writes says-why '"reason": ".+"' hayward status --json
exits does-not-enforce 6 hayward status --wait enforcing --timeout 2s
lives banned-lives /test/box $banned
end_agent TERM
exits uninstall 0 hayward uninstall --config $settings
lives banned-lives-after-uninstall /test/box $banned

finish
