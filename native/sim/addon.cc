// What `require` of the simulator's addon returns: stores on simulated disks, and the disks. The product never loads it.
#include <napi.h>

#include "binding/batch_layout.h"
#include "sim/disk_object.h"
#include "sim/store_object.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Napi::Object constants = Napi::Object::New(env);
  for (const plogdb::layout::Constant& constant : plogdb::layout::Constants()) {
    constants.Set(constant.name, constant.value);
  }
  exports.Set("constants", constants);
  exports.Set("StoreHandle", plogdb::binding::SimStoreObject::Define(env));
  exports.Set("DiskHandle", plogdb::binding::DiskObject::Define(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(plogdb_sim, Init)
