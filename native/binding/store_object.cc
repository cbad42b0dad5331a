// See store_object.h.
#include "binding/store_object.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "binding/arguments.h"
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

void CollectKey(void* context, std::span<const uint8_t> key, uint64_t position,
                std::span<const uint8_t> header) {
  EncodeScanned(key, position, header, static_cast<std::vector<uint8_t>*>(context));
}

Napi::Value Refuse(Napi::Env env, const char* text) {
  Napi::TypeError::New(env, text).ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace

Napi::Function StoreObject::Define(Napi::Env env) {
  return DefineClass(env, "NativeStoreHandle",
                     {
                         InstanceMethod<&StoreObject::Open>("open"),
                         InstanceMethod<&StoreObject::FinishOpen>("finishOpen"),
                         InstanceMethod<&StoreObject::Load>("load"),
                         InstanceMethod<&StoreObject::Get>("get"),
                         InstanceMethod<&StoreObject::Submit>("submit"),
                         InstanceMethod<&StoreObject::Drain>("drain"),
                         InstanceMethod<&StoreObject::Watermark>("watermark"),
                         InstanceMethod<&StoreObject::IsFull>("isFull"),
                         InstanceMethod<&StoreObject::Stats>("stats"),
                         InstanceMethod<&StoreObject::Iterate>("iterate"),
                         InstanceMethod<&StoreObject::Digests>("digests"),
                         InstanceMethod<&StoreObject::SetMerge>("setMerge"),
                         InstanceMethod<&StoreObject::SetScrub>("setScrub"),
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
  Napi::Error::New(env, std::string(method) + " is not allowed in this state of the store")
      .ThrowAsJavaScriptException();
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
    return ReportToObject(env, report_);
  }
  phase_ = Phase::kClosed;
  store_.reset();
  Napi::Object failure = Napi::Object::New(env);
  failure.Set("status", static_cast<double>(open_status_.code()));
  failure.Set("message", open_status_.message());
  return failure;
}

Napi::Value StoreObject::Load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, Phase::kOpen, "load")) return env.Undefined();
  const Arguments arguments(info);
  std::span<uint8_t> request;
  std::span<uint8_t> result;
  Slab slab;
  size_t count = 0;
  if (!arguments.Prefix(0, 1, &request) || !arguments.Size(2, kMaxLoadKeys, &count) ||
      !arguments.Buffer(3, &result) || !arguments.TakeSlab(4, 5, &slab)) {
    return Refuse(env, "load takes (request, requestBytes, keys, result, slab, slabAt)");
  }
  if (result.size() / kLoadedBytes < count) return Refuse(env, "load: the result has no room for all keys");
  const char* wrong = DecodeKeys(request, count, &keys_);
  if (wrong != nullptr) return Refuse(env, wrong);
  if (loaded_.size() < count) loaded_.resize(count);
  for (size_t i = 0; i < count; i++) {
    loaded_[i].slots = 0;
    loaded_[i].corrupt = false;
    store_->Load(keys_[i], &loaded_[i]);
  }
  const std::span<const LoadedKey> loaded(loaded_.data(), count);
  const size_t needed = InlineBytes(loaded);
  const bool fits = needed <= slab.bytes.size() - slab.at;
  if (fits) EncodeLoaded(loaded, result, &slab);
  // Values are shared with the cache: whoever holds them longer than needed keeps memory from it.
  for (size_t i = 0; i < count; i++) {
    for (SlotView& slot : loaded_[i].slot) slot.value = ValueRef();
  }
  return Napi::Number::New(env, fits ? static_cast<double>(slab.at) : -static_cast<double>(needed));
}

Napi::Value StoreObject::Get(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, Phase::kOpen, "get")) return env.Undefined();
  const Arguments arguments(info);
  Slab slab;
  size_t key_bytes = 0;
  if (!arguments.TakeSlab(0, 2, &slab) || !arguments.Size(1, kGetFirst, &key_bytes) || key_bytes == 0 ||
      slab.at < kGetFirst) {
    return Refuse(env, "get takes (slab with the key, keyBytes, slabAt)");
  }
  const NewestValue newest = store_->CopyNewest(slab.bytes.first(key_bytes), slab.bytes.subspan(slab.at));
  return Napi::Number::New(env, EncodeNewest(newest));
}

Napi::Value StoreObject::Submit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, Phase::kOpen, "submit")) return env.Undefined();
  const Arguments arguments(info);
  std::span<uint8_t> bytes;
  uint64_t token = 0;
  if (!arguments.Prefix(0, 1, &bytes) || !arguments.SafeInteger(2, &token)) {
    return Refuse(env, "submit takes (request, requestBytes, token)");
  }
  const char* wrong = DecodeRequest(bytes, &request_);
  if (wrong != nullptr) return Refuse(env, wrong);
  if ((token == 0) != request_.ops.empty())
    return Refuse(env, "submit: a token exactly where there is a batch");
  if (token != 0) {
    const Status status = store_->SubmitBatch(request_.ops, token);
    if (!status.ok()) return Refuse(env, ("submit: " + status.message()).c_str());
  }
  for (const ReadOp& read : request_.reads) {
    const Status status = store_->Read(read.key, read.position, read.tag);
    if (!status.ok()) return Refuse(env, ("read: " + status.message()).c_str());
  }
  return env.Undefined();
}

bool StoreObject::TakeCompletions() {
  if (next_completion_ < completions_.size()) return true;
  completions_.clear();
  next_completion_ = 0;
  return store_ != nullptr && store_->DrainCompletions(&completions_) > 0;
}

Napi::Value StoreObject::Drain(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Arguments arguments(info);
  std::span<uint8_t> events;
  Slab slab;
  if (!arguments.Buffer(0, &events) || !arguments.TakeSlab(1, 2, &slab) ||
      events.size() < kEventsFirst + kEventBytes) {
    return Refuse(env, "drain takes (events, slab, slabAt)");
  }
  // While the helper opens or closes the store, it may not be raced: what waits then is taken by finishClose.
  const bool idle = phase_ == Phase::kOpen || phase_ == Phase::kClosed;
  if (!idle || !TakeCompletions()) return Napi::Number::New(env, 0);
  size_t needed = 0;
  const size_t count = EncodeEvents(std::span<const Completion>(completions_).subspan(next_completion_),
                                    events, &slab, &needed);
  for (size_t i = 0; i < count; i++) completions_[next_completion_ + i].value = ValueRef();
  next_completion_ += count;
  return Napi::Number::New(env, count > 0 ? static_cast<double>(count) : -static_cast<double>(needed));
}

Napi::Value StoreObject::Watermark(const Napi::CallbackInfo& info) {
  if (!Require(info.Env(), Phase::kOpen, "watermark")) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(store_->Watermark()));
}

Napi::Value StoreObject::IsFull(const Napi::CallbackInfo& info) {
  if (!Require(info.Env(), Phase::kOpen, "isFull")) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), store_->IsFull());
}

Napi::Value StoreObject::Stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, Phase::kOpen, "stats")) return env.Undefined();
  std::span<uint8_t> to;
  if (!Arguments(info).Buffer(0, &to) || to.size() < kStatCount * sizeof(double)) {
    return Refuse(env, "stats takes a buffer of its size");
  }
  StoreStats stats;
  store_->Stats(&stats);
  EncodeStats(stats, std::span<double, kStatCount>(reinterpret_cast<double*>(to.data()), kStatCount));
  return env.Undefined();
}

Napi::Value StoreObject::Iterate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, Phase::kOpen, "iterate")) return env.Undefined();
  const Arguments arguments(info);
  std::span<uint8_t> position;
  size_t limit = 0;
  if (!arguments.Buffer(0, &position) || position.size() < kCursorBytes || !arguments.Size(1, kMaxScanKeys, &limit) ||
      limit == 0) {
    return Refuse(env, "iterate takes (cursor, keys)");
  }
  uint64_t cursor = 0;
  std::memcpy(&cursor, position.data(), sizeof(cursor));
  if (cursor == kIterationEnd) return Napi::ArrayBuffer::New(env, 0);
  auto keys = std::make_unique<std::vector<uint8_t>>();
  cursor = store_->Iterate(cursor, limit, CollectKey, keys.get());
  const uint32_t done = cursor == kIterationEnd ? 1 : 0;
  std::memcpy(position.data(), &cursor, sizeof(cursor));
  std::memcpy(position.data() + kCursorDone, &done, sizeof(done));
  if (keys->empty()) return Napi::ArrayBuffer::New(env, 0);
  std::vector<uint8_t>* owned = keys.release();
  return Napi::ArrayBuffer::New(
      env, owned->data(), owned->size(), [](Napi::Env, void*, std::vector<uint8_t>* owner) { delete owner; }, owned);
}

Napi::Value StoreObject::Digests(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, Phase::kOpen, "digests")) return env.Undefined();
  const Arguments arguments(info);
  size_t first = 0;
  size_t count = 0;
  std::span<uint8_t> to;
  if (!arguments.Size(0, kDigestBuckets, &first) || !arguments.Size(1, kDigestBuckets - first, &count) ||
      !arguments.Buffer(2, &to) || to.size() < count * sizeof(uint64_t) ||
      reinterpret_cast<uintptr_t>(to.data()) % alignof(uint64_t) != 0) {
    return Refuse(env, "digests takes (first, count, room for them)");
  }
  const std::span<uint64_t> out(reinterpret_cast<uint64_t*>(to.data()), count);
  const Status status = store_->Digests(static_cast<uint32_t>(first), out);
  if (!status.ok()) return Refuse(env, ("digests: " + status.message()).c_str());
  return env.Undefined();
}

Napi::Value StoreObject::SetMerge(const Napi::CallbackInfo& info) {
  MergeOptions options;
  if (!Require(info.Env(), Phase::kOpen, "setMerge") || !ReadMerge(info.Env(), info[0], &options))
    return info.Env().Undefined();
  store_->SetMerge(options);
  return info.Env().Undefined();
}

Napi::Value StoreObject::SetScrub(const Napi::CallbackInfo& info) {
  ScrubOptions options;
  if (!Require(info.Env(), Phase::kOpen, "setScrub") || !ReadScrub(info.Env(), info[0], &options))
    return info.Env().Undefined();
  store_->SetScrub(options);
  return info.Env().Undefined();
}

Napi::Value StoreObject::Close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, Phase::kOpen, "close")) return env.Undefined();
  phase_ = Phase::kClosing;
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
  (void)store_->DrainCompletions(&completions_);
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
