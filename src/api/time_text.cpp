#include "api/time_text.h"

#include <string>

namespace drpf::api {
namespace {

// Reads a fixed number of digits, or a fixed character; once something did not fit, nothing does.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  int digits(std::size_t count) {
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (text_.empty() || text_[0] < '0' || text_[0] > '9') {
        good_ = false;
        return 0;
      }
      value = value * 10 + (text_[0] - '0');
      text_.remove_prefix(1);
    }
    return value;
  }
  // Which of `characters` it was; '\0' when it was none.
  char one_of(std::string_view characters) {
    if (text_.empty() || characters.find(text_[0]) == std::string_view::npos) {
      good_ = false;
      return '\0';
    }
    const char found = text_[0];
    text_.remove_prefix(1);
    return found;
  }
  void skip_fraction() {
    if (text_.empty() || text_[0] != '.') return;
    text_.remove_prefix(1);
    (void)digits(1);
    while (!text_.empty() && text_[0] >= '0' && text_[0] <= '9') text_.remove_prefix(1);
  }
  bool done() const { return good_ && text_.empty(); }

 private:
  std::string_view text_;
  bool good_ = true;
};

}  // namespace

Result<WallTime> parse_rfc3339(std::string_view text) {
  namespace chrono = std::chrono;
  Reader reader(text);
  const chrono::year year(reader.digits(4));
  reader.one_of("-");
  const chrono::month month(static_cast<unsigned>(reader.digits(2)));
  reader.one_of("-");
  const chrono::day day(static_cast<unsigned>(reader.digits(2)));
  reader.one_of("Tt ");
  const int hour = reader.digits(2);
  reader.one_of(":");
  const int minute = reader.digits(2);
  reader.one_of(":");
  const int second = reader.digits(2);
  reader.skip_fraction();
  int offset = 0;
  if (const char zone = reader.one_of("Zz+-"); zone == '+' || zone == '-') {
    const int hours = reader.digits(2);
    reader.one_of(":");
    const int minutes = reader.digits(2);
    offset = (zone == '+' ? 1 : -1) * (hours * 60 + minutes);
    if (hours > 23 || minutes > 59) offset = 24 * 60;
  }
  const auto date = year / month / day;
  constexpr int first_year = 1970;
  constexpr int last_year = 2200;  // within nanoseconds in 64 bits
  if (!reader.done() || !date.ok() || static_cast<int>(year) < first_year || static_cast<int>(year) > last_year || hour > 23 ||
      minute > 59 || second > 60 || offset >= 24 * 60)
    return fail(invalid("time_invalid", "'" + std::string(text.substr(0, 40)) + "' is not a time",
                        "write it with its zone: 2026-03-01T12:00:00Z or 2026-03-01T13:00:00+01:00"));
  return WallTime(chrono::sys_days(date).time_since_epoch() + chrono::hours(hour) + chrono::minutes(minute - offset) +
                  chrono::seconds(second));
}

}  // namespace drpf::api
