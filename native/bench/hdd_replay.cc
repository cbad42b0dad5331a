// Recorded calls on the model: the page cache as a set of dirty pages, files in one piece each, a journal when asked
// for.
#include "hdd_replay.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "format.h"

namespace plogdb::bench {
namespace {

constexpr uint64_t kChunkBytes = uint64_t{8} << 20;
constexpr uint64_t kMaxTransferBytes = uint64_t{1} << 20;  // what the block layer gives the disk at a time
constexpr uint64_t kJournalBytes = uint64_t{128} << 20;
constexpr uint64_t kJournalBlocks = 2;  // descriptor and the inode's block, before the commit block

struct File {
  uint64_t base = 0;   // in the volume
  uint64_t bytes = 0;  // the largest it ever is
  uint64_t size = 0;
  uint64_t durable_size = 0;
  bool ever_durable = false;
  std::set<uint64_t> dirty;  // pages
};

class Replay {
 public:
  Replay(const HddOptions& options, std::span<const ReplayCall> calls)
      : options_(options), calls_(calls), disk_(options.disk) {
    for (const ReplayCall& call : calls) {
      if (call.what != 'w' && call.what != 'd' && call.what != 'i') continue;
      File& file = files_[call.file];
      file.bytes = std::max(file.bytes, call.offset + call.bytes);
    }
    uint64_t end = kJournalBytes;
    for (auto& [name, file] : files_) {
      file.base = end;
      end += (file.bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    }
    placement_ = DiskPlacement::Over(end, kChunkBytes, options.disk.disk_bytes, options.share);
  }

  ReplayResult Run() {
    ReplayResult result;
    uint64_t begun_ns = 0;
    for (const ReplayCall& call : calls_) {
      if (call.what == 'b') {
        result.before = disk_.stats();
        begun_ns = disk_.now_ns();
      } else if (call.what == 'e') {
        result.after = disk_.stats();
        result.ns = disk_.now_ns() - begun_ns;
        result.puts = call.file;
      } else {
        Do(call);
      }
    }
    return result;
  }

 private:
  void Do(const ReplayCall& call) {
    File& file = files_[call.file];
    switch (call.what) {
      case 'w':
      case 'd':
        Dirty(&file, call.offset, call.bytes);
        if (call.what == 'd') Sync(&file);
        break;
      case 'r':
        WriteBack(&file, call.offset / kBlockBytes, (call.offset + call.bytes) / kBlockBytes);
        break;
      case 's':
        Sync(&file);
        break;
      case 'i':
        file.ever_durable = true;
        file.durable_size = call.offset;
        file.size = call.offset;
        break;
      case 't':
        file.size = call.offset;
        break;
      default:
        break;
    }
  }

  void Dirty(File* file, uint64_t offset, uint64_t bytes) {
    file->size = std::max(file->size, offset + bytes);
    for (uint64_t page = offset / kBlockBytes; page * kBlockBytes < offset + bytes; ++page) file->dirty.insert(page);
  }

  void WriteBack(File* file, uint64_t first, uint64_t end) {
    std::vector<DiskCommand> commands;
    auto at = file->dirty.lower_bound(first);
    while (at != file->dirty.end() && *at < end) {
      const uint64_t begin = *at;
      uint64_t pages = 0;
      while (at != file->dirty.end() && *at < end && *at == begin + pages && pages < kMaxTransferBytes / kBlockBytes) {
        at = file->dirty.erase(at);
        ++pages;
      }
      placement_.Map(file->base + begin * kBlockBytes, pages * kBlockBytes, true, &commands);
    }
    disk_.Run(commands);
  }

  void Sync(File* file) {
    WriteBack(file, 0, UINT64_MAX);
    if (options_.journal && (!file->ever_durable || file->size != file->durable_size)) {
      Journal(kJournalBlocks);
      disk_.Flush();
      Journal(1);
    }
    disk_.Flush();
    file->ever_durable = true;
    file->durable_size = file->size;
  }

  void Journal(uint64_t blocks) {
    if (journal_at_ + blocks * kBlockBytes > kJournalBytes) journal_at_ = 0;
    std::vector<DiskCommand> commands;
    placement_.Map(journal_at_, blocks * kBlockBytes, true, &commands);
    disk_.Run(commands);
    journal_at_ += blocks * kBlockBytes;
  }

  const HddOptions& options_;
  const std::span<const ReplayCall> calls_;
  DiskModel disk_;
  DiskPlacement placement_;
  std::map<uint64_t, File> files_;  // names are numbers in order of appearance
  uint64_t journal_at_ = 0;
};

}  // namespace

bool ReadTrace(const std::string& path, std::vector<ReplayCall>* calls) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (file == nullptr) return false;
  char line[256];
  while (std::fgets(line, sizeof(line), file) != nullptr) {
    ReplayCall call;
    unsigned long long a = 0;
    unsigned long long b = 0;
    unsigned long long c = 0;
    if (std::sscanf(line, "%c %llu %llu %llu", &call.what, &a, &b, &c) < 1) continue;
    call.file = a;
    call.offset = b;
    call.bytes = c;
    calls->push_back(call);
  }
  std::fclose(file);
  return !calls->empty();
}

ReplayResult ReplayCalls(const HddOptions& options, std::span<const ReplayCall> calls) {
  return Replay(options, calls).Run();
}

}  // namespace plogdb::bench
