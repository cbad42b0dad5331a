// What `require` of the addon returns: the store object's class and the constants of the packed buffers.
#include <napi.h>

#include "binding/batch_layout.h"
#include "binding/store_object.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Napi::Object constants = Napi::Object::New(env);
  for (const plogdb::layout::Constant& constant : plogdb::layout::Constants()) {
    constants.Set(constant.name, constant.value);
  }
  exports.Set("constants", constants);
  exports.Set("StoreHandle", plogdb::binding::StoreObject::Define(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(plogdb, Init)
