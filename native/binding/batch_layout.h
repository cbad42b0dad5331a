// The packed buffers that cross between TypeScript and C++ (D21), field by field. One source of truth: the
// addon exports every constant below by name, and src/storage/layout.ts compares its own with them before it
// uses the addon. All numbers are little-endian; what TypeScript knows as a number crosses as a double that
// must hold a safe integer.
#ifndef PLOGDB_BINDING_BATCH_LAYOUT_H_
#define PLOGDB_BINDING_BATCH_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/store.h"

namespace plogdb::layout {

// Raised with every change of what is below, and of the methods of the store object.
inline constexpr uint32_t kVersion = 2;

// Request of submit: operations one after another, each starting at a multiple of 8, with key and value (in
// this order, unaligned) behind the fixed part.
inline constexpr uint32_t kOpPut = 0;
inline constexpr uint32_t kOpMark = 1;
inline constexpr uint32_t kOpRead = 2;
inline constexpr uint32_t kOpDrop = 3;
inline constexpr size_t kOpKind = 0;         // u32
inline constexpr size_t kOpKeyBytes = 4;     // u32
inline constexpr size_t kOpPosition = 8;     // f64: 0 of a drop
inline constexpr size_t kOpFloor = 16;       // f64: floor of a put or mark, tag of a read, 0 of a drop
inline constexpr size_t kOpValueBytes = 24;  // u32: 0 but for a put
inline constexpr size_t kOpHeader = 32;      // kHeaderBytes; of a put or mark; else meaningless
inline constexpr size_t kOpFixedBytes = kOpHeader + kHeaderBytes;

// Request of load: per key its length (u32), the key, padding to a multiple of 4. At most kMaxLoadKeys a
// call.
inline constexpr size_t kMaxLoadKeys = 4096;

// Result of load: per key kLoadedBytes; values that are in memory lie in the slab at their offsets.
inline constexpr size_t kLoadedSlots = 0;  // u32: 0 to 2
inline constexpr size_t kLoadedFlags = 4;  // u32
inline constexpr uint32_t kFlagCorrupt = 1;
inline constexpr size_t kLoadedFirst = 8;   // two slots from here
inline constexpr size_t kSlotPosition = 0;  // f64
inline constexpr size_t kSlotFloor = 8;     // f64
inline constexpr size_t kSlotLsn = 16;      // f64
inline constexpr size_t kSlotInSlab = 24;   // u32: 1 = the value is at kSlotOffset, 0 = it must be read
inline constexpr size_t kSlotOffset = 28;   // u32
inline constexpr size_t kSlotBytes = 32;    // u32: of the value, wherever it is
inline constexpr size_t kSlotHeader = 40;
inline constexpr size_t kLoadedSlotBytes = kSlotHeader + kHeaderBytes;
inline constexpr size_t kLoadedBytes = kLoadedFirst + 2 * kLoadedSlotBytes;

// Values beyond this many bytes in one load stay where they are: they are to be read.
inline constexpr size_t kMaxInlineBytes = size_t{32} << 20;

// Get: the key lies at the front of the slab, values from kGetFirst on. The result is the number of the value's bytes,
// or one of these, or kGetNoRoom minus the bytes that the slab lacks room for.
inline constexpr size_t kGetFirst = 1024;  // the longest key of a get
inline constexpr int32_t kGetAbsent = -1;
inline constexpr int32_t kGetOnDisk = -2;  // it must be read
inline constexpr int32_t kGetCorrupt = -3;
inline constexpr int32_t kGetNoRoom = -4;

// Result of drain: kEventsFirst bytes with the end of the used part of the slab (f64), then events.
inline constexpr size_t kEventsSlabEnd = 0;
inline constexpr size_t kEventsFirst = 8;
inline constexpr uint32_t kEventBatch = 0;
inline constexpr uint32_t kEventRead = 1;
inline constexpr uint32_t kEventFailed = 2;     // the value is a text in UTF-8
inline constexpr uint32_t kEventDamaged = 3;    // the value is the key, the tag the position
inline constexpr size_t kEventKind = 0;         // u32
inline constexpr size_t kEventStatus = 4;       // u32: StatusCode
inline constexpr size_t kEventTag = 8;          // f64: token or tag
inline constexpr size_t kEventOffset = 16;      // u32
inline constexpr size_t kEventValueBytes = 20;  // u32
inline constexpr size_t kEventHasValue = 24;    // u32
inline constexpr size_t kEventBytes = 32;

// Values in a slab start at multiples of this.
inline constexpr size_t kSlabAlign = 8;

// Result of stats: doubles at these places, by the names of StoreStats, then one per class.
inline constexpr size_t kStatKeys = 0;
inline constexpr size_t kStatBytesUsed = 1;
inline constexpr size_t kStatBytesTotal = 2;
inline constexpr size_t kStatLiveBytes = 3;
inline constexpr size_t kStatFlushes = 4;
inline constexpr size_t kStatRuns = 5;
inline constexpr size_t kStatMarkRuns = 6;
inline constexpr size_t kStatRecordsWritten = 7;
inline constexpr size_t kStatBytesWritten = 8;
inline constexpr size_t kStatDiskReads = 9;
inline constexpr size_t kStatCacheBytes = 10;
inline constexpr size_t kStatExtentsFreed = 11;
inline constexpr size_t kStatFlushUs = 12;
inline constexpr size_t kStatCorruptKeys = 13;
inline constexpr size_t kStatState = 14;  // StoreState
inline constexpr size_t kStatIndexBytes = 15;
inline constexpr size_t kStatCacheHits = 16;
inline constexpr size_t kStatCacheMisses = 17;
inline constexpr size_t kStatBytesUsable = 18;
inline constexpr size_t kStatDeadBytes = 19;
inline constexpr size_t kStatFreeExtents = 20;
inline constexpr size_t kStatTotalExtents = 21;
inline constexpr size_t kStatSpaceLevel = 22;  // SpaceLevel
inline constexpr size_t kStatStalledBatches = 23;
inline constexpr size_t kStatStalls = 24;
inline constexpr size_t kStatSecondsToFull = 25;  // infinite = never
inline constexpr size_t kStatMergeBytesRead = 26;
inline constexpr size_t kStatMergeBytesCopied = 27;
inline constexpr size_t kStatMergeRecordsCopied = 28;
inline constexpr size_t kStatMergeExtents = 29;
inline constexpr size_t kStatMergeRate = 30;
inline constexpr size_t kStatZeroFilledBytes = 31;
inline constexpr size_t kStatScrubPasses = 32;
inline constexpr size_t kStatScrubBytes = 33;
inline constexpr size_t kStatScrubRecords = 34;
inline constexpr size_t kStatDamagedRecords = 35;
inline constexpr size_t kStatSummaryBytes = 36;
inline constexpr size_t kStatKeptExtents = 37;
inline constexpr size_t kStatClasses = 38;
inline constexpr size_t kStatCount = kStatClasses + 256;

// Result of iterate: per key its length, its position, its newest header, the key, padding to a multiple of 8.
inline constexpr size_t kScanKeyBytes = 0;  // u32
inline constexpr size_t kScanPosition = 8;  // f64
inline constexpr size_t kScanHeader = 16;
inline constexpr size_t kScanFixedBytes = kScanHeader + kHeaderBytes;
// The cursor of iterate: the engine's (8 bytes that mean nothing to JavaScript; zero = the beginning), then whether the
// end was reached.
inline constexpr size_t kCursorDone = 8;  // u32
inline constexpr size_t kCursorUntil = 16;  // u64: the walk ends here
inline constexpr size_t kCursorBytes = 24;
inline constexpr size_t kMaxScanKeys = 65536;

// What wakes JavaScript: the argument of its one callback.
inline constexpr uint32_t kWakeCompletions = 0;
inline constexpr uint32_t kWakeOpened = 1;
inline constexpr uint32_t kWakeClosed = 2;

static_assert(kOpFixedBytes == 96 && kOpFixedBytes % 8 == 0);
static_assert(kLoadedSlotBytes == 104 && kLoadedBytes == 216 && kLoadedBytes % 8 == 0);
static_assert(kScanFixedBytes % 8 == 0 && kEventBytes % 8 == 0);

struct Constant {
  const char* name;
  double value;
};

// All of the above, and the numbers of the engine that TypeScript mirrors, for export.
std::span<const Constant> Constants();

constexpr size_t AlignUp(size_t value, size_t to) { return (value + to - 1) / to * to; }

}  // namespace plogdb::layout

#endif  // PLOGDB_BINDING_BATCH_LAYOUT_H_
