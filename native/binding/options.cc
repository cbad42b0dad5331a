// See options.h.
#include "binding/options.h"

#include <cmath>
#include <string>

namespace plogdb::binding {
namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

bool Refuse(Napi::Env env, const char* text) {
  Napi::TypeError::New(env, text).ThrowAsJavaScriptException();
  return false;
}

// `what` completes the sentence "... must be an integer from 0 to <max>".
bool ReadInteger(Napi::Object from, const char* name, double max, uint64_t* out) {
  const Napi::Value value = from.Get(name);
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (number >= 0 && number <= max && std::floor(number) == number) {
      *out = static_cast<uint64_t>(number);
      return true;
    }
  }
  return Refuse(from.Env(), (std::string(name) + " is no integer in its range").c_str());
}

bool ReadString(Napi::Object from, const char* name, std::string* out) {
  const Napi::Value value = from.Get(name);
  if (!value.IsString()) return Refuse(from.Env(), (std::string(name) + " is no string").c_str());
  *out = value.As<Napi::String>().Utf8Value();
  if (out->find('\0') != std::string::npos) {
    return Refuse(from.Env(), (std::string(name) + " holds a zero byte").c_str());
  }
  return true;
}

bool ReadBoolean(Napi::Object from, const char* name, bool* out) {
  const Napi::Value value = from.Get(name);
  if (!value.IsBoolean()) return Refuse(from.Env(), (std::string(name) + " is no boolean").c_str());
  *out = value.As<Napi::Boolean>().Value();
  return true;
}

// Below zero: the engine's own checksum serves (D20).
bool ReadDigestOffset(Napi::Object from, uint32_t* out) {
  const Napi::Value value = from.Get("digestOffset");
  if (value.IsNumber() && value.As<Napi::Number>().DoubleValue() < 0) {
    *out = kNoDigestOffset;
    return true;
  }
  uint64_t offset = 0;
  if (!ReadInteger(from, "digestOffset", kHeaderBytes - 8, &offset)) return false;
  if (offset % 8 != 0) return Refuse(from.Env(), "digestOffset is no multiple of 8");
  *out = static_cast<uint32_t>(offset);
  return true;
}

bool ReadVolumes(Napi::Object from, StoreOptions* out) {
  const Napi::Value value = from.Get("volumes");
  if (!value.IsArray()) return Refuse(from.Env(), "volumes is no array");
  const Napi::Array volumes = value.As<Napi::Array>();
  const uint32_t count = volumes.Length();
  if (count < 1 || count > kMaxVolumes) return Refuse(from.Env(), "volumes has none or too many");
  for (uint32_t i = 0; i < count; i++) {
    const Napi::Value item = volumes.Get(i);
    if (!item.IsObject()) return Refuse(from.Env(), "a volume is no object");
    VolumeOptions volume;
    const Napi::Object object = item.As<Napi::Object>();
    if (!ReadString(object, "path", &volume.path)) return false;
    if (!ReadInteger(object, "bytes", kMaxSafeInteger, &volume.bytes)) return false;
    out->volumes.push_back(std::move(volume));
  }
  return true;
}

}  // namespace

bool ReadMerge(Napi::Env env, Napi::Value from, MergeOptions* out) {
  if (!from.IsObject()) return Refuse(env, "merge is no object");
  const Napi::Object object = from.As<Napi::Object>();
  uint64_t hours = 0;
  if (!ReadInteger(object, "bytesPerSecond", kMaxSafeInteger, &out->bytes_per_second)) return false;
  if (!ReadInteger(object, "operationsPerSecond", kMaxSafeInteger, &out->operations_per_second)) return false;
  if (!ReadBoolean(object, "paused", &out->paused)) return false;
  if (!ReadInteger(object, "hours", 0x00ffffff, &hours)) return false;
  out->hours = static_cast<uint32_t>(hours);
  return true;
}

bool ReadScrub(Napi::Env env, Napi::Value from, ScrubOptions* out) {
  if (!from.IsObject()) return Refuse(env, "scrub is no object");
  return ReadInteger(from.As<Napi::Object>(), "bytesPerSecond", kMaxSafeInteger, &out->bytes_per_second);
}

bool ReadOptions(Napi::Env env, Napi::Value from, StoreOptions* out) {
  if (!from.IsObject()) return Refuse(env, "open takes an object");
  const Napi::Object object = from.As<Napi::Object>();
  uint64_t durability = 0;
  uint64_t max_value_bytes = 0;
  uint64_t reader_threads = 0;
  if (!ReadVolumes(object, out)) return false;
  if (!ReadInteger(object, "durability", static_cast<double>(Durability::kNone), &durability)) return false;
  if (!ReadInteger(object, "cacheBytes", kMaxSafeInteger, &out->cache_bytes)) return false;
  if (!ReadInteger(object, "maxValueBytes", double{1 << 30}, &max_value_bytes)) return false;
  if (!ReadInteger(object, "readerThreads", 64, &reader_threads)) return false;
  if (!ReadString(object, "nodeId", &out->node_id)) return false;
  if (out->node_id.empty() || out->node_id.size() > kMaxNodeIdBytes)
    return Refuse(env, "nodeId is empty or too long");
  if (!ReadMerge(env, object.Get("merge"), &out->merge)) return false;
  if (!ReadScrub(env, object.Get("scrub"), &out->scrub)) return false;
  if (!ReadDigestOffset(object, &out->digest_offset)) return false;
  out->durability = static_cast<Durability>(durability);
  out->max_value_bytes = static_cast<uint32_t>(max_value_bytes);
  out->reader_threads = static_cast<uint32_t>(reader_threads);
  return true;
}

Napi::Object ReportToObject(Napi::Env env, const OpenReport& report) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string id;
  for (const uint8_t byte : report.storage_id) {
    id += kHex[byte >> 4];
    id += kHex[byte & 15];
  }
  Napi::Array volumes = Napi::Array::New(env, report.volumes.size());
  for (uint32_t i = 0; i < report.volumes.size(); i++) {
    const VolumeReport& volume = report.volumes[i];
    Napi::Object item = Napi::Object::New(env);
    item.Set("path", volume.path);
    item.Set("bytes", static_cast<double>(volume.bytes));
    item.Set("extentBytes", static_cast<double>(volume.extent_bytes));
    item.Set("ioMode", static_cast<double>(volume.io_mode));
    item.Set("blockBytes", static_cast<double>(volume.block_bytes));
    volumes.Set(i, item);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("fresh", report.fresh);
  object.Set("storageId", id);
  object.Set("volumes", volumes);
  object.Set("recoveredWatermark", static_cast<double>(report.recovered_watermark));
  object.Set("recoveredKeys", static_cast<double>(report.recovered_keys));
  object.Set("corruptKeys", static_cast<double>(report.corrupt_keys));
  object.Set("droppedRuns", static_cast<double>(report.dropped_runs));
  object.Set("unknownLosses", static_cast<double>(report.unknown_losses));
  Napi::Array lost = Napi::Array::New(env, report.lost_places.size());
  for (uint32_t i = 0; i < report.lost_places.size(); i++) {
    const LostPlace& place = report.lost_places[i];
    Napi::Object item = Napi::Object::New(env);
    item.Set("volume", static_cast<double>(place.volume));
    item.Set("life", static_cast<double>(place.life));
    item.Set("from", static_cast<double>(place.from));
    item.Set("to", static_cast<double>(place.to));
    lost.Set(i, item);
  }
  object.Set("lostPlaces", lost);
  object.Set("recoveryUs", static_cast<double>(report.recovery_us));
  return object;
}

}  // namespace plogdb::binding
