#include "crypto/certificates.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <string_view>

#include "core/encoding.h"

namespace drpf::crypto {
namespace {

template <auto free_it>
struct FreedBy {
  template <class T>
  void operator()(T* object) const {
    free_it(object);
  }
};
using X509Certificate = std::unique_ptr<X509, FreedBy<&X509_free>>;
using X509Extension = std::unique_ptr<X509_EXTENSION, FreedBy<&X509_EXTENSION_free>>;
using EvpKey = std::unique_ptr<EVP_PKEY, FreedBy<&EVP_PKEY_free>>;
using Pkcs8Key = std::unique_ptr<PKCS8_PRIV_KEY_INFO, FreedBy<&PKCS8_PRIV_KEY_INFO_free>>;
using BigNumber = std::unique_ptr<BIGNUM, FreedBy<&BN_free>>;

constexpr int serial_bits = 127;  // positive in 16 bytes; RFC 5280 section 4.1.2.2 allows 20
constexpr std::size_t pem_line_length = 64;

tl::unexpected<Error> certificate_failure(std::string_view step) {
  return fail(failure("certificate_failed", "a certificate could not be made: OpenSSL refused to " + std::string(step)));
}

X509Certificate read_certificate(ByteView der) {
  const auto* at = der.data();
  return X509Certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
}

EvpKey read_key(ByteView der) {
  const auto* at = der.data();
  return EvpKey(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
}

template <class T>
Bytes der_of(int (*encode)(const T*, unsigned char**), const T* object) {
  const int size = encode(object, nullptr);
  if (size <= 0) return {};
  Bytes out(static_cast<std::size_t>(size));
  auto* at = out.data();
  encode(object, &at);
  return out;
}

Bytes private_key_der(const EVP_PKEY* key) {
  const Pkcs8Key wrapped(EVP_PKEY2PKCS8(key));
  return wrapped ? der_of<PKCS8_PRIV_KEY_INFO>(i2d_PKCS8_PRIV_KEY_INFO, wrapped.get()) : Bytes{};
}

bool set_serial(X509* certificate) {
  const BigNumber number(BN_new());
  return number && BN_rand(number.get(), serial_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_name(X509* certificate, const std::string& name) {
  const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, text, static_cast<int>(name.size()), -1, 0) ==
         1;
}

bool set_validity(X509* certificate, const Validity& validity) {
  const auto set = [](ASN1_TIME* to, WallTime time) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
    return ASN1_TIME_set(to, static_cast<std::time_t>(seconds)) != nullptr;
  };
  return set(X509_getm_notBefore(certificate), validity.from) && set(X509_getm_notAfter(certificate), validity.until);
}

bool add_extension(X509* certificate, X509* issuer, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const X509Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

struct Wanted {
  const std::string& name;
  const Validity& validity;
  const char* constraints;
  const char* key_usage;
  const char* purpose;  // null: none is named
};

// `issuer` and its key: null for a certificate that signs itself.
Result<KeyAndCertificate> make_certificate(const Wanted& wanted, X509* issuer, EVP_PKEY* issuer_key) {
  const EvpKey key(EVP_EC_gen("P-256"));
  const X509Certificate made(X509_new());
  if (!key || !made) return certificate_failure("make a key on P-256");
  auto* certificate = made.get();
  constexpr long version_3 = 2;
  if (X509_set_version(certificate, version_3) != 1 || !set_serial(certificate) || !set_name(certificate, wanted.name) ||
      !set_validity(certificate, wanted.validity) || X509_set_pubkey(certificate, key.get()) != 1)
    return certificate_failure("write the name " + wanted.name);
  auto* by = issuer != nullptr ? issuer : certificate;
  if (X509_set_issuer_name(certificate, X509_get_subject_name(by)) != 1) return certificate_failure("name the issuer");
  if (!add_extension(certificate, by, NID_basic_constraints, wanted.constraints) ||
      !add_extension(certificate, by, NID_key_usage, wanted.key_usage) ||
      !add_extension(certificate, by, NID_subject_key_identifier, "hash") ||
      !add_extension(certificate, by, NID_authority_key_identifier, "keyid") ||
      (wanted.purpose != nullptr && !add_extension(certificate, by, NID_ext_key_usage, wanted.purpose)))
    return certificate_failure("write what it is for");
  if (X509_sign(certificate, issuer_key != nullptr ? issuer_key : key.get(), EVP_sha256()) == 0) return certificate_failure("sign it");
  KeyAndCertificate out{der_of<X509>(i2d_X509, certificate), private_key_der(key.get())};
  if (out.certificate.empty() || out.private_key.empty()) return certificate_failure("encode it");
  return out;
}

std::string pem(std::string_view what, ByteView der) {
  const auto text = to_base64(der);
  auto out = "-----BEGIN " + std::string(what) + "-----\n";
  for (std::size_t at = 0; at < text.size(); at += pem_line_length) out += text.substr(at, pem_line_length) + "\n";
  return out + "-----END " + std::string(what) + "-----\n";
}

}  // namespace

Result<KeyAndCertificate> make_authority(const std::string& name, const Validity& validity) {
  return make_certificate({name, validity, "critical,CA:TRUE,pathlen:0", "critical,keyCertSign,cRLSign", nullptr}, nullptr, nullptr);
}

Result<KeyAndCertificate> issue_certificate(const KeyAndCertificate& authority, CertificateUse use, const std::string& name,
                                            const Validity& validity) {
  const auto issuer = read_certificate(authority.certificate);
  const auto key = read_key(authority.private_key);
  if (!issuer || !key) return certificate_failure("read the authority's own");
  const bool server = use == CertificateUse::server;
  return make_certificate({name, validity, "critical,CA:FALSE", "critical,digitalSignature", server ? "serverAuth" : "clientAuth"},
                          issuer.get(), key.get());
}

std::array<std::uint8_t, 32> certificate_fingerprint(ByteView certificate) {
  std::array<std::uint8_t, 32> out{};
  unsigned size = 0;
  EVP_Digest(certificate.data(), certificate.size(), out.data(), &size, EVP_sha256(), nullptr);
  return out;
}

std::optional<WallTime> certificate_ends(ByteView der) {
  const auto certificate = read_certificate(der);
  if (!certificate) return std::nullopt;
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts) != 1) return std::nullopt;
  return WallTime(std::chrono::seconds(::timegm(&parts)));
}

std::string certificate_pem(ByteView certificate) { return pem("CERTIFICATE", certificate); }
std::string private_key_pem(ByteView private_key) { return pem("PRIVATE KEY", private_key); }

}  // namespace drpf::crypto
