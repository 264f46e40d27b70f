/* A game of life, 32 cells at once by AVX2: SECONDS. Integers alone, a hot loop and much memory traffic. */
#include "bound.h"

#include <immintrin.h>
#include <stdint.h>

enum { ROWS = 2048, COLUMNS = 4096, MARGIN = 32, WIDTH = COLUMNS + 2 * MARGIN };
static uint8_t boards[2][ROWS + 2][WIDTH];

static __m256i at(uint8_t (*board)[WIDTH], int row, int column) {
	return _mm256_loadu_si256((const __m256i *)&board[row][column]);
}

static void step(uint8_t (*from)[WIDTH], uint8_t (*to)[WIDTH]) {
	const __m256i one = _mm256_set1_epi8(1), two = _mm256_set1_epi8(2), three = _mm256_set1_epi8(3);
	for (int row = 1; row <= ROWS; row++)
		for (int column = MARGIN; column < MARGIN + COLUMNS; column += 32) {
			__m256i sum = _mm256_setzero_si256();
			for (int down = -1; down <= 1; down++)
				for (int right = -1; right <= 1; right++)
					if (down != 0 || right != 0)
						sum = _mm256_add_epi8(sum, at(from, row + down, column + right));
			__m256i stays = _mm256_and_si256(_mm256_cmpeq_epi8(sum, two), _mm256_cmpeq_epi8(at(from, row, column), one));
			__m256i lives = _mm256_or_si256(_mm256_cmpeq_epi8(sum, three), stays);
			_mm256_storeu_si256((__m256i *)&to[row][column], _mm256_and_si256(lives, one));
		}
}

int main(int count, char **arguments) {
	double end = end_of(count, arguments);
	for (int row = 1; row <= ROWS; row++)
		for (int column = MARGIN; column < MARGIN + COLUMNS; column++)
			boards[0][row][column] = rand() & 1;
	unsigned steps = 0;
	for (; now() < end; steps++)
		step(boards[steps % 2], boards[(steps + 1) % 2]);
	printf("%u %d\n", steps, boards[steps % 2][ROWS / 2][WIDTH / 2]);
}
