// See store_object.h.
#include "sim/store_object.h"

#include <limits>
#include <string>
#include <utility>

#include "binding/arguments.h"
#include "binding/options.h"
#include "core/format.h"
#include "sim/disk_object.h"

namespace plogdb::binding {
namespace {

constexpr uint64_t kHourUs = uint64_t{3600} * 1'000'000;  // the virtual clock begins at midnight

}  // namespace

Napi::Function SimStoreObject::Define(Napi::Env env) {
  return DefineClass(env, "SimulatedStoreHandle",
                     {
                         InstanceMethod<&SimStoreObject::Open>("open"),
                         InstanceMethod<&SimStoreObject::Step>("step"),
                         InstanceMethod<&SimStoreObject::Close>("close"),
                         InstanceMethod<&SimStoreObject::Crash>("crash"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::Load>>("load"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::Get>>("get"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::Submit>>("submit"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::Drain>>("drain"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::Watermark>>("watermark"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::IsFull>>("isFull"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::IsShort>>("isShort"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::Stats>>("stats"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::Iterate>>("iterate"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::Digests>>("digests"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::SetMerge>>("setMerge"),
                         InstanceMethod<&SimStoreObject::Forward<&StoreCalls::SetScrub>>("setScrub"),
                     });
}

SimStoreObject::SimStoreObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

bool SimStoreObject::TakeTime(const Napi::CallbackInfo& info, size_t at) {
  if (Arguments(info).SafeInteger(at, &now_us_)) return true;
  (void)Refuse(info.Env(), "the time is no integer");
  return false;
}

Napi::Value SimStoreObject::Open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (used_) return RefuseState(env, "open");
  StoreOptions options;
  uint64_t seed = 0;
  if (!ReadOptions(env, info[0], &options)) return env.Undefined();
  DiskObject* disk = DiskObject::Of(env, info[1]);
  if (disk == nullptr) return env.Undefined();
  if (!Arguments(info).SafeInteger(2, &seed) || seed == 0) return Refuse(env, "open takes a seed above 0");
  if (!TakeTime(info, 3)) return env.Undefined();
  used_ = true;
  devices_ = std::make_unique<SimDeviceFactory>();
  options.volumes.clear();
  for (size_t i = 0; i < disk->volumes().size(); i++) {
    devices_->Put(std::to_string(i), disk->volumes()[i]);
    options.volumes.push_back({std::to_string(i), disk->volume_bytes()});
  }
  options.device_factory = devices_.get();
  options.stepped = true;
  options.seed = seed;
  options.now_us = [](void* self) { return static_cast<SimStoreObject*>(self)->now_us_; };
  options.local_hour = [](void* self) {
    return static_cast<uint32_t>(static_cast<SimStoreObject*>(self)->now_us_ / kHourUs % 24);
  };
  options.now_context = this;
  g_min_extent_bytes = disk->extent_bytes();
  OpenReport report;
  const Status status = Store::Open(options, &store_, &report);
  if (status.ok()) {
    calls_.Attach(store_.get());
    return ReportToObject(env, report);
  }
  Drop();
  Napi::Object failure = Napi::Object::New(env);
  failure.Set("status", static_cast<double>(status.code()));
  failure.Set("message", status.message());
  return failure;
}

Napi::Value SimStoreObject::Step(const Napi::CallbackInfo& info) {
  if (store_ == nullptr) return RefuseState(info.Env(), "step");
  if (!TakeTime(info, 0)) return info.Env().Undefined();
  uint64_t due = UINT64_MAX;
  const bool worked = store_->Step(&due);
  const double never = std::numeric_limits<double>::infinity();
  return Napi::Number::New(info.Env(), worked ? -1 : due == UINT64_MAX ? never : static_cast<double>(due));
}

Napi::Value SimStoreObject::Close(const Napi::CallbackInfo& info) {
  if (store_ == nullptr) return RefuseState(info.Env(), "close");
  if (!TakeTime(info, 0)) return info.Env().Undefined();
  calls_.Detach();
  store_->Close();
  calls_.Keep(store_.get());
  store_.reset();
  devices_.reset();
  return info.Env().Undefined();
}

Napi::Value SimStoreObject::Crash(const Napi::CallbackInfo& info) {
  Drop();
  return info.Env().Undefined();
}

void SimStoreObject::Drop() {
  calls_.Detach();
  calls_.Forget();
  if (devices_ != nullptr) devices_->Kill();
  store_.reset();
  devices_.reset();  // it holds the disks
}

}  // namespace plogdb::binding
