// Goal: what strace says of a peer becomes what the replay must know: who wrote where, in what order, what was flushed.
// Method: lines as strace prints them (-ttt -y -s 0), one text per thread.
import { describe, expect, it } from "vitest";

interface Trace {
  callsOf(texts: readonly string[]): unknown;
  translate(
    calls: unknown,
    dir: string,
    sizes: Map<string, number>,
    puts: number,
  ): { readonly lines: readonly string[]; readonly unknown: number };
}
const place = new URL("../../bench/lib/hdd-trace.mjs", import.meta.url).href;
const { callsOf, translate } = (await import(place)) as Trace; // plain JavaScript: typed here

function linesOf(texts: readonly string[], sizes: Readonly<Record<string, number>> = {}): readonly string[] {
  return translate(callsOf(texts), "/d", new Map(Object.entries(sizes)), 77).lines;
}

describe("a recorded trace", () => {
  it("keeps the place of write, pwrite and writev", () => {
    const text = `
1.000001 openat(AT_FDCWD</x>, "/d/a.log", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 7</d/a.log>
1.000002 write(7</d/a.log>, ""..., 100) = 100
1.000003 writev(7</d/a.log>, [{iov_base=""..., iov_len=20}, {iov_base=""..., iov_len=5}], 2) = 25
1.000004 pwrite64(7</d/a.log>, ""..., 4096, 8192) = 4096
1.000005 write(7</d/a.log>, ""..., 10) = 10
1.000006 fdatasync(7</d/a.log>) = 0 (DELAYED)
`;
    expect(linesOf([text])).toEqual(["t 1 0", "w 1 0 100", "w 1 100 25", "w 1 8192 4096", "w 1 125 10", "s 1"]);
  });

  it("goes by time over all threads, with the marks of the measured stretch", () => {
    const main = `
1.000001 openat(AT_FDCWD</x>, "/d/db", O_RDWR) = 9</d/db>
1.000003 openat(AT_FDCWD</x>, "/d/bench-begins", O_RDONLY) = -1 ENOENT (No such file or directory)
1.000009 openat(AT_FDCWD</x>, "/d/bench-ends", O_RDONLY) = -1 ENOENT (No such file or directory)
`;
    const worker = `
1.000002 pwrite64(9</d/db>, ""..., 8, 0) = 8
1.000005 pwritev(9</d/db>, [{iov_base=""..., iov_len=8192}], 1, 4096) = 8192
1.000006 fsync(9</d/db>)             = 0
`;
    const expected = ["i 1 5000", "w 1 0 8", "b 0", "w 1 4096 8192", "s 1", "e 77"];
    expect(linesOf([worker, main], { "/d/db": 5000 })).toEqual(expected);
  });

  it("knows writes that are durable by themselves, appends, and sizes that are set", () => {
    const text = `
1.000001 openat(AT_FDCWD</x>, "/d/meta", O_RDWR|O_DSYNC) = 5</d/meta>
1.000002 pwrite64(5</d/meta>, ""..., 64, 4096) = 64
1.000003 openat(AT_FDCWD</x>, "/d/old", O_WRONLY|O_APPEND) = 6</d/old>
1.000004 write(6</d/old>, ""..., 3) = 3
1.000005 ftruncate(6</d/old>, 0) = 0
`;
    expect(linesOf([text], { "/d/old": 40 })).toEqual(["d 1 4096 64", "i 2 40", "w 2 40 3", "t 2 0"]);
  });

  it("leaves out other files, failed calls, and descriptors that were taken over by another file", () => {
    const text = `
1.000001 openat(AT_FDCWD</x>, "/d/a", O_RDWR) = 5</d/a>
1.000002 write(1</dev/null>, ""..., 64) = 64
1.000003 write(5</d/a>, ""..., 64) = -1 ENOSPC (No space left on device)
1.000004 openat(AT_FDCWD</x>, "/etc/b", O_RDWR) = 5</etc/b>
1.000005 write(5</etc/b>, ""..., 64) = 64
`;
    expect(linesOf([text])).toEqual([]);
  });
});
