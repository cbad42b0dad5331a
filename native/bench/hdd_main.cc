// The HDD bench: the engine, or recorded I/O of a peer, on one model of a mechanical disk; results as JSON lines.
// Usage: hdd engine|replay [--name value]... The driver is bench/hdd.mjs, which says what the results mean.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "hdd.h"
#include "hdd_replay.h"

namespace plogdb::bench {

void TellDiskWork(const DiskModelStats& before, const DiskModelStats& after, uint64_t puts, uint64_t ns,
                  JsonLine* line) {
  const auto of = [puts](uint64_t from, uint64_t to) {
    return puts == 0 ? 0 : static_cast<double>(to - from) / static_cast<double>(puts);
  };
  const double seconds = static_cast<double>(ns) / 1e9;
  line->Count("puts", puts).Number("virtualSeconds", seconds);
  line->Number("putsPerSec", ns == 0 ? 0 : static_cast<double>(puts) / seconds);
  line->Number("seeksPerPut", of(before.seeks, after.seeks));
  line->Number("bytesWrittenPerPut", of(before.bytes_written, after.bytes_written));
  line->Number("bytesReadPerPut", of(before.bytes_read, after.bytes_read));
  line->Number("flushesPerPut", of(before.flushes, after.flushes));
  line->Number("accessesPerPut", of(before.accesses, after.accesses));
  line->Number("seekSeconds", static_cast<double>(after.seek_ns - before.seek_ns) / 1e9);
  line->Number("rotationSeconds", static_cast<double>(after.rotation_ns - before.rotation_ns) / 1e9);
  line->Number("transferSeconds", static_cast<double>(after.transfer_ns - before.transfer_ns) / 1e9);
}

namespace {

bool Take(const char* name, const char* text, HddOptions* options) {
  const double number = std::atof(text);
  const auto whole = static_cast<uint64_t>(number);
  if (std::strcmp(name, "--trace") == 0) options->trace = text;
  else if (std::strcmp(name, "--share") == 0) options->share = number;
  else if (std::strcmp(name, "--volume-mib") == 0) options->volume_bytes = whole << 20;
  else if (std::strcmp(name, "--cache-mib") == 0) options->cache_bytes = whole << 20;
  else if (std::strcmp(name, "--full") == 0) options->full = number;
  else if (std::strcmp(name, "--callers") == 0) options->callers = whole;
  else if (std::strcmp(name, "--value-bytes") == 0) options->value_bytes = whole;
  else if (std::strcmp(name, "--seconds") == 0) options->seconds = whole;
  else if (std::strcmp(name, "--seed") == 0) options->seed = whole;
  else if (std::strcmp(name, "--journal") == 0) options->journal = whole != 0;
  else if (std::strcmp(name, "--write-cache") == 0) options->disk.write_cache = whole != 0;
  else return false;
  return true;
}

int RunReplay(const HddOptions& options) {
  std::vector<ReplayCall> calls;
  if (!ReadTrace(options.trace, &calls)) {
    std::fprintf(stderr, "hdd: cannot read %s\n", options.trace.c_str());
    return 1;
  }
  const ReplayResult result = ReplayCalls(options, calls);
  JsonLine line;
  line.Text("point", "replay").Flag("journal", options.journal).Flag("writeCache", options.disk.write_cache);
  TellDiskWork(result.before, result.after, result.puts, result.ns, &line);
  line.Print();
  return 0;
}

int Main(int count, char** arguments) {
  HddOptions options;
  bool good = count >= 2 && count % 2 == 0;
  for (int i = 2; good && i < count; i += 2) good = Take(arguments[i], arguments[i + 1], &options);
  if (good && std::strcmp(arguments[1], "engine") == 0) return RunEngine(options);
  if (good && std::strcmp(arguments[1], "replay") == 0) return RunReplay(options);
  std::fprintf(stderr, "usage: hdd engine|replay [--name value]...\n");
  return 2;
}

}  // namespace
}  // namespace plogdb::bench

int main(int count, char** arguments) { return plogdb::bench::Main(count, arguments); }
