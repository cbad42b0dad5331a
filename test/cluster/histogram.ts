// Latencies for people to look at: a histogram in powers of two, and quantiles. Microseconds throughout.

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}

/** One line per bucket: its upper bound, how many, a bar. */
export function histogram(title: string, values: readonly number[]): string {
  const buckets = new Map<number, number>();
  for (const value of values) {
    const bound = 2 ** Math.ceil(Math.log2(Math.max(1, value)));
    buckets.set(bound, (buckets.get(bound) ?? 0) + 1);
  }
  const most = Math.max(1, ...buckets.values());
  const lines = [...buckets]
    .sort(([a], [b]) => a - b)
    .map(([bound, count]) => {
      const bar = "#".repeat(Math.ceil((count / most) * 50));
      return `  <= ${String(bound).padStart(8)} us ${String(count).padStart(6)} ${bar}`;
    });
  const marks = [0.5, 0.99, 1].map((q) => `p${String(q * 100)} ${String(Math.round(quantile(values, q)))} us`);
  return [`${title}: ${String(values.length)} writes, ${marks.join(", ")}`, ...lines].join("\n");
}
