// The kernels as an ordinary native program has them: AVX2 intrinsics, one stream, the width known when compiled.
// Takes the rows and a need from standard input, then one command a line: "time NAME" answers with nanoseconds of
// processor time, "show NAME" with how many bytes the result has, and the result.
#define _GNU_SOURCE
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VECTORS (BITS / 256)
#define WORDS (BITS / 64)
#define LEVELS 32

static size_t rows;
static const uint64_t *data;
static uint64_t needs[WORDS] __attribute__((aligned(32)));

static __m256i load(const void *at) { return _mm256_load_si256(at); }
static void store(void *at, __m256i v) { _mm256_store_si256(at, v); }

static uint64_t folded[WORDS] __attribute__((aligned(32)));

static void meet(void) {
  __m256i all[VECTORS];
  for (int v = 0; v < VECTORS; v++) all[v] = _mm256_set1_epi64x(-1);
  const __m256i *at = (const __m256i *)data;
  for (size_t row = 0; row < rows; row++, at += VECTORS)
    for (int v = 0; v < VECTORS; v++) all[v] = _mm256_and_si256(all[v], load(at + v));
  for (int v = 0; v < VECTORS; v++) store(folded + 4 * v, all[v]);
}

static uint32_t totals[BITS];
static __m256i planes[LEVELS][VECTORS], waiting[LEVELS][VECTORS];

#define ADD(carry, sum, x, y)                                                         \
  do {                                                                                \
    const __m256i u = _mm256_xor_si256(sum, x), z = (y);                              \
    carry = _mm256_or_si256(_mm256_and_si256(sum, x), _mm256_and_si256(u, z));        \
    sum = _mm256_xor_si256(u, z);                                                     \
  } while (0)

static __m256i sixteen(int v, const __m256i *at) {
  __m256i one = planes[0][v], two = planes[1][v], four = planes[2][v], eight = planes[3][v];
  __m256i twos[8], fours[4], eights[2], carry;
#define ROW(i) load(at + (i) * VECTORS + v)
  for (int i = 0; i < 8; i++) {
    const __m256i x = ROW(2 * i);
    ADD(twos[i], one, x, ROW(2 * i + 1));
  }
  for (int i = 0; i < 4; i++) ADD(fours[i], two, twos[2 * i], twos[2 * i + 1]);
  for (int i = 0; i < 2; i++) ADD(eights[i], four, fours[2 * i], fours[2 * i + 1]);
  ADD(carry, eight, eights[0], eights[1]);
  planes[0][v] = one, planes[1][v] = two, planes[2][v] = four, planes[3][v] = eight;
  return carry;
}

static void counts(void) {
  memset(planes, 0, sizeof planes);
  memset(waiting, 0, sizeof waiting);
  const __m256i *at = (const __m256i *)data;
  for (size_t group = 0; group < rows / 16; group++, at += 16 * VECTORS) {
    __m256i carry[VECTORS];
    for (int v = 0; v < VECTORS; v++) carry[v] = sixteen(v, at);
    int level = 4;
    for (size_t n = group; n & 1; n >>= 1, level++)
      for (int v = 0; v < VECTORS; v++) {
        ADD(carry[v], planes[level][v], waiting[level][v], carry[v]);
        waiting[level][v] = _mm256_setzero_si256();
      }
    for (int v = 0; v < VECTORS; v++) waiting[level][v] = carry[v];
  }
  for (size_t bit = 0; bit < BITS; bit++) {
    const size_t word = bit / 32, shift = bit % 32;
    uint32_t total = 0;
    for (int level = 0; level < LEVELS; level++)
      total += (((const uint32_t *)planes[level])[word] >> shift & 1) << level,
          total += (((const uint32_t *)waiting[level])[word] >> shift & 1) << level;
    for (size_t row = rows / 16 * 16; row < rows; row++)
      total += ((const uint32_t *)(data + row * WORDS))[word] >> shift & 1;
    totals[bit] = total;
  }
}

static uint32_t *bitmap;

static void covers(void) {
  __m256i all[VECTORS];
  for (int v = 0; v < VECTORS; v++) all[v] = load(needs + 4 * v);
  const __m256i *at = (const __m256i *)data;
  for (size_t word = 0; word < (rows + 31) / 32; word++) {
    uint32_t bits = 0;
    for (size_t i = 0; i < 32 && word * 32 + i < rows; i++, at += VECTORS) {
      int has = 1;
      for (int v = 0; v < VECTORS; v++) has &= _mm256_testc_si256(load(at + v), all[v]);
      bits |= (uint32_t)has << i;
    }
    bitmap[word] = bits;
  }
}

static uint32_t *class_of, *weights, *first;
static uint64_t *table;
static size_t slots;

static uint64_t mixed(uint64_t a, uint64_t b) {
  const unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash(const uint64_t *row) {
  uint64_t h = 0xa0761d6478bd642f;
  for (int i = 0; i < WORDS; i += 2) h = mixed(row[i] ^ 0xe7037ed1a0b428db, row[i + 1] ^ h);
  return h >> 32;
}

static int equal(const uint64_t *a, const uint64_t *b) {
  __m256i gap = _mm256_setzero_si256();
  for (int v = 0; v < VECTORS; v++)
    gap = _mm256_or_si256(gap, _mm256_xor_si256(load(a + 4 * v), load(b + 4 * v)));
  return _mm256_testz_si256(gap, gap);
}

static void intern(void) {
  uint32_t classes = 0;
  slots = 1024;
  memset(table, 0, slots * sizeof *table);
  for (size_t row = 0; row < rows; row++) {
    const uint64_t *bits = data + row * WORDS;
    const uint32_t code = hash(bits);
    size_t slot = code & (slots - 1);
    while (table[slot] && !(table[slot] >> 32 == code && equal(data + first[(uint32_t)table[slot] - 1] * WORDS, bits)))
      slot = (slot + 1) & (slots - 1);
    if (table[slot]) {
      const uint32_t found = (uint32_t)table[slot] - 1;
      class_of[row] = found;
      weights[found]++;
      continue;
    }
    class_of[row] = classes;
    weights[classes] = 1;
    first[classes] = row;
    table[slot] = (uint64_t)code << 32 | ++classes;
    if (classes <= slots / 2) continue;
    slots *= 2;
    memset(table, 0, slots * sizeof *table);
    for (uint32_t i = 0; i < classes; i++) {
      const uint32_t known = hash(data + first[i] * WORDS);
      for (slot = known & (slots - 1); table[slot]; slot = (slot + 1) & (slots - 1));
      table[slot] = (uint64_t)known << 32 | (i + 1);
    }
  }
}

static void *take(size_t bytes) {
  void *at = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (!at) exit(3);
  memset(at, 0, bytes);
  return at;
}

static void fill(void *at, size_t bytes) {
  if (fread(at, 1, bytes, stdin) != bytes) exit(4);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  rows = strtoull(argv[1], 0, 10);
  uint64_t *own = take(rows * WORDS * 8);
  fill(own, rows * WORDS * 8);
  fill(needs, sizeof needs);
  data = own;
  bitmap = take((rows + 31) / 32 * 4);
  class_of = take(rows * 4);
  weights = take(rows * 4);
  first = take(rows * 4);
  size_t most = 1024;
  while (most < 2 * rows) most *= 2;
  table = take(most * 8);
  const struct {
    const char *name;
    void (*run)(void);
    const void *result;
    size_t bytes;
  } kernels[] = {
      {"meet", meet, folded, sizeof folded},
      {"counts", counts, totals, sizeof totals},
      {"covers", covers, bitmap, (rows + 31) / 32 * 4},
      {"intern", intern, class_of, rows * 4},
  };
  char verb[8], name[16];
  while (scanf("%7s %15s", verb, name) == 2)
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
      if (strcmp(kernels[i].name, name)) continue;
      struct timespec a, b;
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
      kernels[i].run();
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
      if (!strcmp(verb, "time"))
        printf("%lld\n", (b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec);
      else {
        printf("%zu\n", kernels[i].bytes);
        fwrite(kernels[i].result, 1, kernels[i].bytes, stdout);
      }
      fflush(stdout);
    }
  return 0;
}
