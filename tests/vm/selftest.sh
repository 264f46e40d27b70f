# Not a test of Hayward: shows that a failure in a machine makes the command fail that runs the machines.
# shellcheck shell=sh
. /test/common.sh

passed selftest-passes
failed selftest-fails "on purpose"
finish
