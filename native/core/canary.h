// Deliberately broken variants, which the crash tests must catch (a checker that cannot fail proves nothing). Only a
// build with PLOGDB_CANARIES has them; elsewhere CanaryOn is the constant false and the compiler removes the branches.
#ifndef PLOGDB_CORE_CANARY_H_
#define PLOGDB_CORE_CANARY_H_

#include <cstdint>

namespace plogdb {

enum class Canary : uint8_t {
  kNone,
  kCompleteBeforeFlush,    // D5, D6
  kTailBlockRewritten,     // D3
  kBlockIdNotChecked,      // D2
  kAddressNotChecked,      // D2
  kIncompleteRunAccepted,  // D3
  kRecoveryByPlace,        // D4
  kMarkIgnored,            // D17
  kCorruptReadAsAbsent,    // D16
  kMarkerDroppedEarly,     // D13
  kWatermarkStuck,         // D18
  kFlushRetried,           // D8
  kFreedWhileRead,         // D10
  kFreeCountedTwice,       // D12
  kMergeOverwritesNewer,   // D10
  kSummaryNotChecked,      // D17
  kAnnouncementSkipped,    // an extent is written over before a durable run said that it is free
};

#ifdef PLOGDB_CANARIES
extern Canary g_canary;  // set by tests before a store is opened, never while one lives
inline bool CanaryOn(Canary canary) { return g_canary == canary; }
#else
constexpr bool CanaryOn(Canary) { return false; }
#endif

}  // namespace plogdb

#endif  // PLOGDB_CORE_CANARY_H_
