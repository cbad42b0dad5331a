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

#include "binding/store_calls.h"
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
  // The calls on an open store.
  template <Napi::Value (StoreCalls::*kMethod)(const Napi::CallbackInfo&)>
  Napi::Value Forward(const Napi::CallbackInfo& info) {
    return (calls_.*kMethod)(info);
  }
  // close(): closes on a thread of its own; wakes with kWakeClosed.
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value FinishClose(const Napi::CallbackInfo& info);
  // ref() and unref(): whether this object keeps the event loop alive.
  Napi::Value Ref(const Napi::CallbackInfo& info);
  Napi::Value Unref(const Napi::CallbackInfo& info);

  // False when the phase is another one; then an error is pending.
  bool Require(Napi::Env env, Phase phase, const char* method);
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

  StoreCalls calls_;
};

}  // namespace plogdb::binding

#endif  // PLOGDB_BINDING_STORE_OBJECT_H_
