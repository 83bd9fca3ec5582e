#include "crypto/transport_cipher.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <initializer_list>
#include <stdexcept>
#include <vector>

#ifdef DRPF_MULTI_BUFFER
#include <intel-ipsec-mb.h>
#endif

#include "crypto/secret_key.h"

namespace drpf::crypto {

namespace {

constexpr std::size_t tag_size = 16;

}  // namespace

class TransportCipher::Implementation {
 public:
  virtual ~Implementation() = default;
  virtual void set_key(const Key32& key) = 0;
  virtual void seal(std::uint64_t counter, MutableByteView plain, MutableByteView tag) = 0;
  virtual bool open(std::uint64_t counter, MutableByteView sealed, ByteView tag) = 0;
};

namespace {

// What fails here fails when memory runs out or the host's OpenSSL lacks the algorithm: nothing a peer can cause.
void require(bool good) {
  if (!good) throw std::runtime_error("OpenSSL refused ChaCha20-Poly1305; is it restricted to FIPS algorithms?");
}

class OpenSslCipher final : public TransportCipher::Implementation {
 public:
  OpenSslCipher(const Key32& key, TransportCipher::Direction direction) : context_(EVP_CIPHER_CTX_new()) {
    const int encrypts = direction == TransportCipher::Direction::seal ? 1 : 0;
    require(context_ && EVP_CipherInit_ex2(context_.get(), algorithm(), key.data(), nullptr, encrypts, nullptr) == 1);
  }

  void set_key(const Key32& key) override {
    auto* const context = context_.get();
    require(EVP_CipherInit_ex2(context, nullptr, key.data(), nullptr, EVP_CIPHER_CTX_is_encrypting(context), nullptr) == 1);
  }

  void seal(std::uint64_t counter, MutableByteView plain, MutableByteView tag) override {
    auto* const context = context_.get();
    int n = 0;
    bool good = EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce_of(counter).data()) == 1;
    if (!plain.empty()) good = good && EVP_EncryptUpdate(context, plain.data(), &n, plain.data(), static_cast<int>(plain.size())) == 1;
    require(good && EVP_EncryptFinal_ex(context, tag.data(), &n) == 1 &&
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_size, tag.data()) == 1);
  }

  bool open(std::uint64_t counter, MutableByteView sealed, ByteView tag) override {
    auto* const context = context_.get();
    std::array<std::uint8_t, tag_size> wanted{};  // a copy, for SET_TAG wants it mutable
    std::copy(tag.begin(), tag.end(), wanted.begin());
    int n = 0;
    require(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce_of(counter).data()) == 1 &&
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_size, wanted.data()) == 1);
    if (!sealed.empty() && EVP_DecryptUpdate(context, sealed.data(), &n, sealed.data(), static_cast<int>(sealed.size())) != 1) return false;
    return EVP_DecryptFinal_ex(context, wanted.data(), &n) == 1;
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER* p) const { EVP_CIPHER_free(p); }
    void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); }
  };
  // Fetched once: a fetch per call takes locks that all threads share.
  static const EVP_CIPHER* algorithm() {
    static const std::unique_ptr<EVP_CIPHER, Free> fetched(EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr));
    require(fetched != nullptr);
    return fetched.get();
  }
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
};

#ifdef DRPF_MULTI_BUFFER
class MultiBufferCipher final : public TransportCipher::Implementation {
 public:
  MultiBufferCipher(const Key32& key, TransportCipher::Direction direction) : key_(key), direction_(direction), manager_(alloc_mb_mgr(0)) {
    if (!manager_) throw std::bad_alloc();
    init_mb_mgr_auto(manager_.get(), nullptr);
  }

  // The library's older ways are hardly faster than OpenSSL, and the oldest slower.
  bool worth_while() const { return imb_get_errno(manager_.get()) == 0 && manager_->used_arch >= IMB_ARCH_AVX512; }
  void set_key(const Key32& key) override { key_ = SecretKey(key); }
  void seal(std::uint64_t counter, MutableByteView plain, MutableByteView tag) override { run(counter, plain, tag); }
  bool open(std::uint64_t counter, MutableByteView sealed, ByteView tag) override {
    std::array<std::uint8_t, tag_size> computed{};
    run(counter, sealed, computed);
    return equal_constant_time(computed, tag);
  }

 private:
  struct Free {
    void operator()(IMB_MGR* p) const { free_mb_mgr(p); }
  };
  // ChaCha20-Poly1305 is done at once: the library queues only what it does for several packets together.
  void run(std::uint64_t counter, MutableByteView bytes, MutableByteView tag) {
    const auto nonce = nonce_of(counter);
    auto* const manager = manager_.get();
    auto* const job = IMB_GET_NEXT_JOB(manager);
    const bool seals = direction_ == TransportCipher::Direction::seal;
    job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    job->cipher_direction = seals ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    job->chain_order = seals ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job->enc_keys = key_.bytes().data();
    job->dec_keys = key_.bytes().data();
    job->key_len_in_bytes = key_.bytes().size();
    job->src = bytes.data();
    job->dst = bytes.data();
    job->cipher_start_src_offset_in_bytes = 0;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_cipher_in_bytes = bytes.size();
    job->msg_len_to_hash_in_bytes = bytes.size();
    job->iv = nonce.data();
    job->iv_len_in_bytes = nonce.size();
    job->u.CHACHA20_POLY1305.aad = nonce.data();
    job->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
    job->auth_tag_output = tag.data();
    job->auth_tag_output_len_in_bytes = tag_size;
    const auto* const done = IMB_SUBMIT_JOB_NOCHECK(manager);
    if (done == nullptr || done->status != IMB_STATUS_COMPLETED)
      throw std::logic_error("the multi-buffer library did not do ChaCha20-Poly1305 at once");
  }

  SecretKey key_;
  TransportCipher::Direction direction_;
  std::unique_ptr<IMB_MGR, Free> manager_;
};

// Sealed by one and opened by the other, at sizes that take every way through them.
bool multi_buffer_works() {
  using Direction = TransportCipher::Direction;
  Key32 key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  MultiBufferCipher seals(key, Direction::seal);
  if (!seals.worth_while()) return false;
  MultiBufferCipher opens(key, Direction::open);
  OpenSslCipher reference(key, Direction::seal);
  for (const std::size_t size : std::initializer_list<std::size_t>{0, 1, 16, 80, 1039, 1436}) {
    std::vector<std::uint8_t> plain(size, 0x5a);
    std::vector<std::uint8_t> expected(size + tag_size, 0x5a);
    auto got = expected;
    const auto parts = [size](std::vector<std::uint8_t>& buffer) {
      return std::pair(MutableByteView(buffer).first(size), MutableByteView(buffer).subspan(size));
    };
    const auto [expected_text, expected_tag] = parts(expected);
    reference.seal(size, expected_text, expected_tag);
    const auto [text, tag] = parts(got);
    seals.seal(size, text, tag);
    if (got != expected || !opens.open(size, text, tag) || !std::equal(plain.begin(), plain.end(), text.begin())) return false;
  }
  return true;
}
#endif

std::unique_ptr<TransportCipher::Implementation> make(const Key32& key, TransportCipher::Direction direction,
                                                      TransportCipher::Library library) {
#ifdef DRPF_MULTI_BUFFER
  if (library == TransportCipher::Library::multi_buffer) return std::make_unique<MultiBufferCipher>(key, direction);
#endif
  assert(library == TransportCipher::Library::openssl);
  return std::make_unique<OpenSslCipher>(key, direction);
}

}  // namespace

TransportCipher::Library TransportCipher::best_library() {
#ifdef DRPF_MULTI_BUFFER
  static const bool works = multi_buffer_works();
  if (works) return Library::multi_buffer;
#endif
  return Library::openssl;
}

TransportCipher::TransportCipher(const Key32& key, Direction direction, Library library) : implementation_(make(key, direction, library)) {}
TransportCipher::~TransportCipher() = default;
TransportCipher::TransportCipher(TransportCipher&&) noexcept = default;
TransportCipher& TransportCipher::operator=(TransportCipher&&) noexcept = default;

void TransportCipher::set_key(const Key32& key) { implementation_->set_key(key); }

void TransportCipher::seal(std::uint64_t counter, MutableByteView buffer_with_tag) {
  assert(buffer_with_tag.size() >= tag_size);
  const auto size = buffer_with_tag.size() - tag_size;
  implementation_->seal(counter, buffer_with_tag.first(size), buffer_with_tag.subspan(size));
}

bool TransportCipher::open(std::uint64_t counter, MutableByteView buffer_with_tag) {
  if (buffer_with_tag.size() < tag_size) return false;
  const auto size = buffer_with_tag.size() - tag_size;
  return implementation_->open(counter, buffer_with_tag.first(size), buffer_with_tag.subspan(size));
}

}  // namespace drpf::crypto
