#include "terminal/qr_code.h"

#include <qrencode.h>

#include <cstring>
#include <memory>

namespace drpf::terminal {
namespace {

constexpr int quiet_zone = 4;  // modules of light around the code, ISO/IEC 18004

}  // namespace

// Light modules are printed, for most terminals are dark; two rows of modules make one line.
Result<std::string> qr_code(const std::string& text) {
  const std::unique_ptr<QRcode, decltype(&QRcode_free)> code(
      QRcode_encodeData(static_cast<int>(text.size()), reinterpret_cast<const unsigned char*>(text.data()), 0, QR_ECLEVEL_L), &QRcode_free);
  if (!code)
    return fail(failure("qr_failed", "this configuration does not fit into a QR code", "give the device the file instead: --out FILE"));
  const auto light = [&](int row, int column) {
    const bool inside = row >= 0 && row < code->width && column >= 0 && column < code->width;
    return !inside || (code->data[row * code->width + column] & 1) == 0;
  };
  std::string out;
  for (int row = -quiet_zone; row < code->width + quiet_zone; row += 2) {
    for (int column = -quiet_zone; column < code->width + quiet_zone; ++column) {
      const bool upper = light(row, column);
      const bool lower = row + 1 < code->width + quiet_zone && light(row + 1, column);
      out += upper ? (lower ? "\u2588" : "\u2580") : (lower ? "\u2584" : " ");
    }
    out += "\n";
  }
  return out;
}

}  // namespace drpf::terminal
