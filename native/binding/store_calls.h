// The calls on an open store, as JavaScript makes them: packed buffers in, packed buffers out. Both objects around a
// store have them: the product's, whose store runs on threads, and the simulator's, whose store is driven. It knows
// nothing of how a store is opened, closed or woken. All of it on the thread of its JavaScript environment.
#ifndef PLOGDB_BINDING_STORE_CALLS_H_
#define PLOGDB_BINDING_STORE_CALLS_H_

#include <napi.h>

#include <vector>

#include "binding/batch_codec.h"
#include "core/store.h"

namespace plogdb::binding {

// An error is pending afterwards.
Napi::Value Refuse(Napi::Env env, const char* text);
Napi::Value RefuseState(Napi::Env env, const char* method);

class StoreCalls {
 public:
  // Until Detach; without a store every call but drain is refused.
  void Attach(Store* store) { store_ = store; }
  void Detach() { store_ = nullptr; }
  // Takes what waits in a store that is about to go, for later drains.
  void Keep(Store* store) { (void)store->DrainCompletions(&completions_); }
  // Nobody will ask for it any more.
  void Forget();

  // load(request, requestBytes, keys, result, slab, slabAt) -> end of the used slab, or -(bytes that the slab
  // must have).
  Napi::Value Load(const Napi::CallbackInfo& info);
  // get(slab, keyBytes, slabAt) -> bytes of the newest record's value, now at slabAt; or a negative number, see
  // batch_layout.h. One key, nothing allocated.
  Napi::Value Get(const Napi::CallbackInfo& info);
  // submit(request, requestBytes, token): reads, and the batch when token is not 0.
  Napi::Value Submit(const Napi::CallbackInfo& info);
  // drain(events, slab, slabAt) -> count; 0 when there is nothing more; -(bytes that the slab must have).
  Napi::Value Drain(const Napi::CallbackInfo& info);
  Napi::Value Watermark(const Napi::CallbackInfo& info);
  Napi::Value IsFull(const Napi::CallbackInfo& info);
  Napi::Value IsShort(const Napi::CallbackInfo& info);
  // stats(Float64Array's buffer)
  Napi::Value Stats(const Napi::CallbackInfo& info);
  // iterate(cursor, keys) -> ArrayBuffer with about that many keys from the cursor on, which is moved.
  Napi::Value Iterate(const Napi::CallbackInfo& info);
  // digests(first, count, into): eight bytes each.
  Napi::Value Digests(const Napi::CallbackInfo& info);
  // setMerge(options), setScrub(options): as in open.
  Napi::Value SetMerge(const Napi::CallbackInfo& info);
  Napi::Value SetScrub(const Napi::CallbackInfo& info);

 private:
  bool RequireStore(Napi::Env env, const char* method) const;
  bool TakeCompletions();

  Store* store_ = nullptr;
  // Kept between calls for their memory.
  Request request_;
  std::vector<std::span<const uint8_t>> keys_;
  std::vector<LoadedKey> loaded_;
  std::vector<Completion> completions_;
  size_t next_completion_ = 0;
};

}  // namespace plogdb::binding

#endif  // PLOGDB_BINDING_STORE_CALLS_H_
