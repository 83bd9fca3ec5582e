// X.509 certificates on the curve P-256: an authority of one's own and what it issues. Keeps nothing, and asks no clock.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "core/bytes.h"
#include "core/result.h"
#include "core/time.h"

namespace drpf::crypto {

// Both DER: X.509, and PKCS #8 without a password.
struct KeyAndCertificate {
  Bytes certificate;
  Bytes private_key;
};

enum class CertificateUse : std::uint8_t { server, client };

struct Validity {
  WallTime from;
  WallTime until;
};

Result<KeyAndCertificate> make_authority(const std::string& name, const Validity& validity);
// A new key each time. `name` becomes the common name.
Result<KeyAndCertificate> issue_certificate(const KeyAndCertificate& authority, CertificateUse use, const std::string& name,
                                            const Validity& validity);

// SHA-256 over the certificate: what OpenVPN calls tls_digest_sha256.
std::array<std::uint8_t, 32> certificate_fingerprint(ByteView certificate);
// Nothing where this is no certificate.
std::optional<WallTime> certificate_ends(ByteView certificate);

// "-----BEGIN CERTIFICATE-----" and so on, with a line's end at its end.
std::string certificate_pem(ByteView certificate);
std::string private_key_pem(ByteView private_key);

}  // namespace drpf::crypto
