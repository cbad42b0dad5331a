// The JavaScript object around one store on a simulated disk: stepped, so without any thread, on the caller's virtual
// clock, opened and closed within the call. The one idea: nothing happens but inside a call, and what happens depends on
// the calls, the disk and the seed alone.
#ifndef PLOGDB_SIM_STORE_OBJECT_H_
#define PLOGDB_SIM_STORE_OBJECT_H_

#include <napi.h>

#include <memory>

#include "binding/store_calls.h"
#include "core/sim_device.h"
#include "core/store.h"

namespace plogdb::binding {

class SimStoreObject : public Napi::ObjectWrap<SimStoreObject> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit SimStoreObject(const Napi::CallbackInfo& info);
  ~SimStoreObject() override { Drop(); }
  SimStoreObject(const SimStoreObject&) = delete;
  SimStoreObject& operator=(const SimStoreObject&) = delete;

 private:
  // open(options, disk, seed, nowUs) -> facts, or { status, message }. The seed makes the id of a store that is
  // formatted. Volumes are named "0" and "1".
  Napi::Value Open(const Napi::CallbackInfo& info);
  // step(nowUs) -> below 0: worked, more may be there to do; else when there will be (Infinity: when something is
  // submitted).
  Napi::Value Step(const Napi::CallbackInfo& info);
  // close(nowUs): ends all that was submitted; it is drained afterwards.
  Napi::Value Close(const Napi::CallbackInfo& info);
  // crash(): the process is gone. Nothing reaches the disk any more, nothing is left to drain.
  Napi::Value Crash(const Napi::CallbackInfo& info);

  template <Napi::Value (StoreCalls::*kMethod)(const Napi::CallbackInfo&)>
  Napi::Value Forward(const Napi::CallbackInfo& info) {
    return (calls_.*kMethod)(info);
  }

  bool TakeTime(const Napi::CallbackInfo& info, size_t at);
  void Drop();

  bool used_ = false;  // an object opens one store, once
  uint64_t now_us_ = 0;
  std::unique_ptr<SimDeviceFactory> devices_;
  std::unique_ptr<Store> store_;
  StoreCalls calls_;
};

}  // namespace plogdb::binding

#endif  // PLOGDB_SIM_STORE_OBJECT_H_
