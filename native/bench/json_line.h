// One JSON object on one line, for programs whose output other programs read. Names are the caller's and need no
// escaping.
#ifndef PLOGDB_BENCH_JSON_LINE_H_
#define PLOGDB_BENCH_JSON_LINE_H_

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>

namespace plogdb::bench {

class JsonLine {
 public:
  JsonLine& Number(const char* name, double value) {
    char text[64];
    std::snprintf(text, sizeof(text), "%.6g", value);
    return Raw(name, text);
  }
  JsonLine& Count(const char* name, uint64_t value) { return Raw(name, std::to_string(value)); }
  JsonLine& Flag(const char* name, bool value) { return Raw(name, value ? "true" : "false"); }
  JsonLine& Text(const char* name, const std::string& value) { return Raw(name, "\"" + value + "\""); }
  void Print() const {
    std::printf("{%s}\n", body_.c_str());
    std::fflush(stdout);
  }

 private:
  JsonLine& Raw(const char* name, const std::string& value) {
    if (!body_.empty()) body_ += ",";
    body_ += "\"" + std::string(name) + "\":" + value;
    return *this;
  }
  std::string body_;
};

}  // namespace plogdb::bench

#endif  // PLOGDB_BENCH_JSON_LINE_H_
