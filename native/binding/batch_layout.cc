// The table by which batch_layout.h and the engine's numbers reach TypeScript; a constant missing here is
// missed there.
#include "binding/batch_layout.h"

namespace plogdb::layout {
namespace {

template <typename T>
constexpr double AsDouble(T value) {
  return static_cast<double>(value);
}

constexpr Constant kConstants[] = {
    {"version", AsDouble(kVersion)},
    {"opPut", AsDouble(kOpPut)},
    {"opMark", AsDouble(kOpMark)},
    {"opRead", AsDouble(kOpRead)},
    {"opKind", AsDouble(kOpKind)},
    {"opKeyBytes", AsDouble(kOpKeyBytes)},
    {"opPosition", AsDouble(kOpPosition)},
    {"opFloor", AsDouble(kOpFloor)},
    {"opValueBytes", AsDouble(kOpValueBytes)},
    {"opHeader", AsDouble(kOpHeader)},
    {"opFixedBytes", AsDouble(kOpFixedBytes)},
    {"maxLoadKeys", AsDouble(kMaxLoadKeys)},
    {"loadedSlots", AsDouble(kLoadedSlots)},
    {"loadedFlags", AsDouble(kLoadedFlags)},
    {"flagCorrupt", AsDouble(kFlagCorrupt)},
    {"loadedFirst", AsDouble(kLoadedFirst)},
    {"slotPosition", AsDouble(kSlotPosition)},
    {"slotFloor", AsDouble(kSlotFloor)},
    {"slotLsn", AsDouble(kSlotLsn)},
    {"slotInSlab", AsDouble(kSlotInSlab)},
    {"slotOffset", AsDouble(kSlotOffset)},
    {"slotBytes", AsDouble(kSlotBytes)},
    {"slotHeader", AsDouble(kSlotHeader)},
    {"loadedSlotBytes", AsDouble(kLoadedSlotBytes)},
    {"loadedBytes", AsDouble(kLoadedBytes)},
    {"maxInlineBytes", AsDouble(kMaxInlineBytes)},
    {"eventsSlabEnd", AsDouble(kEventsSlabEnd)},
    {"eventsFirst", AsDouble(kEventsFirst)},
    {"eventBatch", AsDouble(kEventBatch)},
    {"eventRead", AsDouble(kEventRead)},
    {"eventFailed", AsDouble(kEventFailed)},
    {"eventKind", AsDouble(kEventKind)},
    {"eventStatus", AsDouble(kEventStatus)},
    {"eventTag", AsDouble(kEventTag)},
    {"eventOffset", AsDouble(kEventOffset)},
    {"eventValueBytes", AsDouble(kEventValueBytes)},
    {"eventHasValue", AsDouble(kEventHasValue)},
    {"eventBytes", AsDouble(kEventBytes)},
    {"slabAlign", AsDouble(kSlabAlign)},
    {"statKeys", AsDouble(kStatKeys)},
    {"statBytesUsed", AsDouble(kStatBytesUsed)},
    {"statBytesTotal", AsDouble(kStatBytesTotal)},
    {"statFlushes", AsDouble(kStatFlushes)},
    {"statRuns", AsDouble(kStatRuns)},
    {"statRecordsWritten", AsDouble(kStatRecordsWritten)},
    {"statBytesWritten", AsDouble(kStatBytesWritten)},
    {"statDiskReads", AsDouble(kStatDiskReads)},
    {"statCacheBytes", AsDouble(kStatCacheBytes)},
    {"statFlushUs", AsDouble(kStatFlushUs)},
    {"statState", AsDouble(kStatState)},
    {"statClasses", AsDouble(kStatClasses)},
    {"statCount", AsDouble(kStatCount)},
    {"scanKeyBytes", AsDouble(kScanKeyBytes)},
    {"scanPosition", AsDouble(kScanPosition)},
    {"scanHeader", AsDouble(kScanHeader)},
    {"scanFixedBytes", AsDouble(kScanFixedBytes)},
    {"wakeCompletions", AsDouble(kWakeCompletions)},
    {"wakeOpened", AsDouble(kWakeOpened)},
    {"wakeClosed", AsDouble(kWakeClosed)},
    {"headerBytes", AsDouble(kHeaderBytes)},
    {"maxKeyBytes", AsDouble(kMaxKeyBytes)},
    {"maxVolumes", AsDouble(kMaxVolumes)},
    {"maxNodeIdBytes", AsDouble(kMaxNodeIdBytes)},
    {"minVolumeBytes", AsDouble(kMinVolumeBytes)},
    {"statusOk", AsDouble(StatusCode::kOk)},
    {"statusDiskFull", AsDouble(StatusCode::kDiskFull)},
    {"statusFailed", AsDouble(StatusCode::kFailed)},
    {"statusCorrupt", AsDouble(StatusCode::kCorrupt)},
    {"statusTooLarge", AsDouble(StatusCode::kTooLarge)},
    {"statusClosed", AsDouble(StatusCode::kClosed)},
    {"statusNotFound", AsDouble(StatusCode::kNotFound)},
    {"statusInvalidArgument", AsDouble(StatusCode::kInvalidArgument)},
    {"statusLocked", AsDouble(StatusCode::kLocked)},
    {"statusForeign", AsDouble(StatusCode::kForeign)},
    {"statusIoError", AsDouble(StatusCode::kIoError)},
    {"durabilityFlush", AsDouble(Durability::kFlush)},
    {"durabilityDevice", AsDouble(Durability::kDevice)},
    {"durabilityNone", AsDouble(Durability::kNone)},
    {"ioDirect", AsDouble(IoMode::kDirect)},
    {"ioBuffered", AsDouble(IoMode::kBuffered)},
    {"ioMemory", AsDouble(IoMode::kMemory)},
    {"stateOpen", AsDouble(StoreState::kOpen)},
    {"stateFailed", AsDouble(StoreState::kFailed)},
    {"stateClosed", AsDouble(StoreState::kClosed)},
};

}  // namespace

std::span<const Constant> Constants() { return kConstants; }

}  // namespace plogdb::layout
