// A loop with numbers of both kinds, compiled by Node as it runs: SECONDS.
const end = Date.now() + 1000 * Number(process.argv[2]);
let total = 0;
while (Date.now() < end) {
	for (let number = 0; number < 100000; number++) total += Math.sqrt((number * 7) % 13) / 3;
}
console.log(total);
