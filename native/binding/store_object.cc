// See store_object.h.
#include "binding/store_object.h"

#include <cstdint>
#include <utility>

#include "binding/options.h"

namespace plogdb::binding {
namespace {

using namespace layout;

// The JavaScript side of a wake-up. With no environment left it does nothing. An exception of the callback is
// an uncaught one: without this it would be swallowed.
void CallWake(napi_env env, napi_value callback, void* /*context*/, void* data) {
  if (env == nullptr || callback == nullptr) return;
  napi_value receiver = nullptr;
  napi_value reason = nullptr;
  if (napi_get_undefined(env, &receiver) != napi_ok) return;
  if (napi_create_uint32(env, static_cast<uint32_t>(reinterpret_cast<uintptr_t>(data)), &reason) != napi_ok)
    return;
  if (napi_call_function(env, receiver, callback, 1, &reason, nullptr) != napi_pending_exception) return;
  napi_value error = nullptr;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

}  // namespace

Napi::Function StoreObject::Define(Napi::Env env) {
  return DefineClass(env, "NativeStoreHandle",
                     {
                         InstanceMethod<&StoreObject::Open>("open"),
                         InstanceMethod<&StoreObject::FinishOpen>("finishOpen"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::Load>>("load"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::Get>>("get"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::Submit>>("submit"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::Drain>>("drain"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::Watermark>>("watermark"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::IsFull>>("isFull"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::IsShort>>("isShort"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::Stats>>("stats"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::Iterate>>("iterate"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::Digests>>("digests"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::SetMerge>>("setMerge"),
                         InstanceMethod<&StoreObject::Forward<&StoreCalls::SetScrub>>("setScrub"),
                         InstanceMethod<&StoreObject::Close>("close"),
                         InstanceMethod<&StoreObject::FinishClose>("finishClose"),
                         InstanceMethod<&StoreObject::Ref>("ref"),
                         InstanceMethod<&StoreObject::Unref>("unref"),
                     });
}

StoreObject::StoreObject(const Napi::CallbackInfo& info) : ObjectWrap(info), env_(info.Env()) {
  if (info.Length() != 1 || !info[0].IsFunction()) {
    (void)Refuse(info.Env(), "a store handle takes one function");
    return;
  }
  const Napi::String name = Napi::String::New(info.Env(), "plogdb");
  const napi_status made = napi_create_threadsafe_function(env_, info[0], nullptr, name, 0, 1, nullptr,
                                                           nullptr, nullptr, CallWake, &wake_);
  if (made != napi_ok) {
    wake_ = nullptr;
    Napi::Error::New(info.Env(), "no wake-up could be made").ThrowAsJavaScriptException();
    return;
  }
  (void)napi_unref_threadsafe_function(env_, wake_);
  // Hooks run last in, first out: this one before the wake-up's own, so that Shutdown still finds it usable.
  napi_add_env_cleanup_hook(env_, OnEnvironmentEnd, this);
}

StoreObject::~StoreObject() {
  if (wake_ == nullptr) return;
  if (!environment_ended_) napi_remove_env_cleanup_hook(env_, OnEnvironmentEnd, this);
  Shutdown();
  // Aborting: what is queued is dropped, not delivered to an object that is gone. After the end of the
  // environment the wake-up has released itself.
  if (!environment_ended_) (void)napi_release_threadsafe_function(wake_, napi_tsfn_abort);
}

void StoreObject::OnEnvironmentEnd(void* self) {
  StoreObject* object = static_cast<StoreObject*>(self);
  object->environment_ended_ = true;
  object->Shutdown();
}

void StoreObject::Shutdown() {
  if (helper_.joinable()) helper_.join();
  calls_.Detach();
  if (store_ != nullptr) store_->Close();
  store_.reset();
  phase_ = Phase::kClosed;
}

void StoreObject::Wake(uint32_t reason) {
  // Without a bound and non-blocking it fails only while the environment ends; then nobody listens.
  (void)napi_call_threadsafe_function(wake_, reinterpret_cast<void*>(uintptr_t{reason}),
                                      napi_tsfn_nonblocking);
}

bool StoreObject::Require(Napi::Env env, Phase phase, const char* method) {
  if (phase_ == phase) return true;
  (void)RefuseState(env, method);
  return false;
}

Napi::Value StoreObject::Open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, Phase::kIdle, "open")) return env.Undefined();
  StoreOptions options;
  if (!ReadOptions(env, info[0], &options)) return env.Undefined();
  options.wake = [](void* self) { static_cast<StoreObject*>(self)->Wake(kWakeCompletions); };
  options.wake_context = this;
  phase_ = Phase::kOpening;
  (void)napi_ref_threadsafe_function(env_, wake_);
  helper_ = std::thread([this, options = std::move(options)] {
    open_status_ = Store::Open(options, &store_, &report_);
    Wake(kWakeOpened);
  });
  return env.Undefined();
}

Napi::Value StoreObject::FinishOpen(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, Phase::kOpening, "finishOpen")) return env.Undefined();
  helper_.join();
  (void)napi_unref_threadsafe_function(env_, wake_);
  if (open_status_.ok() && store_ != nullptr) {
    phase_ = Phase::kOpen;
    calls_.Attach(store_.get());
    return ReportToObject(env, report_);
  }
  phase_ = Phase::kClosed;
  store_.reset();
  Napi::Object failure = Napi::Object::New(env);
  failure.Set("status", static_cast<double>(open_status_.code()));
  failure.Set("message", open_status_.message());
  return failure;
}

Napi::Value StoreObject::Close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, Phase::kOpen, "close")) return env.Undefined();
  phase_ = Phase::kClosing;
  calls_.Detach();  // the helper may not be raced: what waits is taken by finishClose
  (void)napi_ref_threadsafe_function(env_, wake_);
  helper_ = std::thread([this] {
    store_->Close();
    Wake(kWakeClosed);
  });
  return env.Undefined();
}

Napi::Value StoreObject::FinishClose(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, Phase::kClosing, "finishClose")) return env.Undefined();
  helper_.join();
  (void)napi_unref_threadsafe_function(env_, wake_);
  phase_ = Phase::kClosed;
  calls_.Keep(store_.get());
  store_.reset();
  return env.Undefined();
}

Napi::Value StoreObject::Ref(const Napi::CallbackInfo& info) {
  (void)napi_ref_threadsafe_function(env_, wake_);
  return info.Env().Undefined();
}

Napi::Value StoreObject::Unref(const Napi::CallbackInfo& info) {
  (void)napi_unref_threadsafe_function(env_, wake_);
  return info.Env().Undefined();
}

}  // namespace plogdb::binding
