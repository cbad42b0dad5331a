// The options of open, from a JavaScript object to the engine's. Checks types and bounds; meaning is the
// engine's matter.
#ifndef PLOGDB_BINDING_OPTIONS_H_
#define PLOGDB_BINDING_OPTIONS_H_

#include <napi.h>

#include "core/store.h"

namespace plogdb::binding {

// False when something does not fit; then a TypeError is pending.
bool ReadOptions(Napi::Env env, Napi::Value from, StoreOptions* out);

// The same for what may be changed while a store is open.
bool ReadMerge(Napi::Env env, Napi::Value from, MergeOptions* out);
bool ReadScrub(Napi::Env env, Napi::Value from, ScrubOptions* out);

// What finishOpen returns after a success.
Napi::Object ReportToObject(Napi::Env env, const OpenReport& report);

}  // namespace plogdb::binding

#endif  // PLOGDB_BINDING_OPTIONS_H_
