// The JavaScript object around one plogdb::Store: `new Store(onWake)`, open, finishOpen, the batch calls,
// close, finishClose. It owns the store, the one helper thread that opens or closes it, and the wake-up. All
// methods run on the thread of their JavaScript environment; only Wake comes from elsewhere. The one idea:
// whatever way the environment ends (exit, terminate, collection), Shutdown runs first and leaves no thread
// that could call into it.
#ifndef PLOGDB_BINDING_STORE_OBJECT_H_
#define PLOGDB_BINDING_STORE_OBJECT_H_

#include <napi.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "binding/batch_codec.h"
#include "core/store.h"

namespace plogdb::binding {

class StoreObject : public Napi::ObjectWrap<StoreObject> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit StoreObject(const Napi::CallbackInfo& info);
  ~StoreObject() override;
  StoreObject(const StoreObject&) = delete;
  StoreObject& operator=(const StoreObject&) = delete;

 private:
  // kIdle -> kOpening -> kOpen -> kClosing -> kClosed; kOpening -> kClosed when open failed or the
  // environment ends.
  enum class Phase { kIdle, kOpening, kOpen, kClosing, kClosed };

  // open(options): opens on a thread of its own; wakes with kWakeOpened.
  Napi::Value Open(const Napi::CallbackInfo& info);
  // finishOpen() -> facts, or { status, message }.
  Napi::Value FinishOpen(const Napi::CallbackInfo& info);
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
  // stats(Float64Array's buffer)
  Napi::Value Stats(const Napi::CallbackInfo& info);
  // iterate(cursor, keys) -> ArrayBuffer with about that many keys from the cursor on, which is moved.
  Napi::Value Iterate(const Napi::CallbackInfo& info);
  // digests(first, count, into): eight bytes each.
  Napi::Value Digests(const Napi::CallbackInfo& info);
  // setMerge(options), setScrub(options): as in open.
  Napi::Value SetMerge(const Napi::CallbackInfo& info);
  Napi::Value SetScrub(const Napi::CallbackInfo& info);
  // close(): closes on a thread of its own; wakes with kWakeClosed.
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value FinishClose(const Napi::CallbackInfo& info);
  // ref() and unref(): whether this object keeps the event loop alive.
  Napi::Value Ref(const Napi::CallbackInfo& info);
  Napi::Value Unref(const Napi::CallbackInfo& info);

  // False when the phase is another one; then an error is pending.
  bool Require(Napi::Env env, Phase phase, const char* method);
  bool TakeCompletions();
  // Any thread, until Shutdown returned.
  void Wake(uint32_t reason);
  static void OnEnvironmentEnd(void* self);
  void Shutdown();

  napi_env env_;
  Phase phase_ = Phase::kIdle;
  std::unique_ptr<Store> store_;
  // Ends after one call of Store::Open or Store::Close; its results below are read after the join.
  std::thread helper_;
  OpenReport report_;
  Status open_status_;
  napi_threadsafe_function wake_ = nullptr;
  bool environment_ended_ = false;

  // Kept between calls for their memory.
  Request request_;
  std::vector<std::span<const uint8_t>> keys_;
  std::vector<LoadedKey> loaded_;
  std::vector<Completion> completions_;
  size_t next_completion_ = 0;
};

}  // namespace plogdb::binding

#endif  // PLOGDB_BINDING_STORE_OBJECT_H_
