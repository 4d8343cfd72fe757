#include "tls_session.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>

#include <algorithm>

namespace flocker {

namespace {

/** What is read from the socket at once: many records for one call. */
constexpr size_t kReadAhead = 256 * 1024;
/** What is written counts for no less, so that a key is changed long before it has made 2^24.5 records (RFC 8446, section 5.5). */
constexpr uint64_t kLeastCounted = 4096;

constexpr char kIdentity[] = "flocker-zfs";

bool HasAes() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
  return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
  return false;
#endif
}

/** AES-128-GCM where the processor has instructions for it; without them ChaCha20 is several times faster. */
const char* CipherSuites() {
  return HasAes() ? "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
                  : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
}

}  // namespace

TlsSession::~TlsSession() {
  if (ssl_ != nullptr) SSL_free(ssl_);
  if (context_ != nullptr) SSL_CTX_free(context_);
  if (method_ != nullptr) BIO_meth_free(method_);
  // Through a volatile pointer, which no optimiser leaves out.
  volatile uint8_t* key = settings_.key.data();
  for (size_t i = 0; i < settings_.key.size(); i++) key[i] = 0;
}

bool TlsSession::Open(Settings settings) {
  settings_ = std::move(settings);
    ERR_clear_error();
  if (Configure() && Attach()) return true;
  Fail();
  return false;
}

bool TlsSession::Configure() {
  context_ = SSL_CTX_new(TLS_method());
  if (context_ == nullptr) return false;
  SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
  SSL_CTX_set_read_ahead(context_, 1);
  SSL_CTX_set_default_read_buffer_len(context_, kReadAhead);
  // A session is for one stream: nobody resumes it.
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context_, 0);
  SSL_CTX_set_psk_client_callback(context_, ClientKey);
  SSL_CTX_set_psk_server_callback(context_, ServerKey);
  return SSL_CTX_set_ciphersuites(context_, CipherSuites()) == 1;
}

bool TlsSession::Attach() {
  method_ = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "flocker-zfs");
  ssl_ = SSL_new(context_);
  if (method_ == nullptr || ssl_ == nullptr) return false;
  BIO_meth_set_write_ex(method_, WriteOut);
  BIO_meth_set_ctrl(method_, Control);
  BIO* in = BIO_new_socket(settings_.socket, BIO_NOCLOSE);
  BIO* out = BIO_new(method_);
  // From here on the session owns them.
  SSL_set_bio(ssl_, in, out);
  if (in == nullptr || out == nullptr) return false;
  BIO_set_data(out, this);
  BIO_set_init(out, 1);
  SSL_set_ex_data(ssl_, 0, this);
  if (settings_.server) SSL_set_accept_state(ssl_);
  else SSL_set_connect_state(ssl_);
  return true;
}

TlsSession::Result TlsSession::Handshake() {
  ERR_clear_error();
  Result result = Judge(SSL_do_handshake(ssl_));
  // A peer that has not the key could offer a certificate in its place, which nobody would verify.
  if (result != Result::kDone || SSL_session_reused(ssl_) == 1) return result;
  failure_ = "ERR_SSL_NO_COMMON_KEY";
  return Result::kFailed;
}

bool TlsSession::Write(const char* data, size_t size) {
  ERR_clear_error();
  carried_ += std::max<uint64_t>(size, kLeastCounted);
  if (carried_ > settings_.keyBytes) {
    if (SSL_key_update(ssl_, SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
      Fail();
      return false;
    }
    carried_ = size;
  }
  size_t written = 0;
  // What it writes to never blocks: it takes everything or fails.
  if (SSL_write_ex(ssl_, data, size, &written) == 1 && written == size) return true;
  Fail();
  return false;
}

TlsSession::Result TlsSession::Read(char* data, size_t size, size_t* count) {
  *count = 0;
  while (*count < size && stopped_ == Result::kDone) {
    size_t read = 0;
    ERR_clear_error();
    Result result = Judge(SSL_read_ex(ssl_, data + *count, size - *count, &read));
    if (result == Result::kAgain) return *count > 0 ? Result::kDone : result;
    // What has come before it is told first.
    stopped_ = result;
    *count += read;
  }
  return *count > 0 ? Result::kDone : stopped_;
}

void TlsSession::Close() {
  ERR_clear_error();
  SSL_shutdown(ssl_);
}

int TlsSession::Flush() {
  ssize_t count = send(settings_.socket, out_.data() + outAt_, outSize(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count < 0) return errno;
  outAt_ += count;
  if (outAt_ == out_.size()) {
    out_.clear();
    outAt_ = 0;
  }
  return 0;
}

TlsSession::Result TlsSession::Judge(int result) {
  if (result == 1) return Result::kDone;
  int system = errno;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return Result::kAgain;
    case SSL_ERROR_ZERO_RETURN:
      return Result::kEnded;
    case SSL_ERROR_SYSCALL:
      if (system == 0) return Result::kEnded;
      error_ = system;
      return Result::kFailed;
    default:
      // A connection that closes without a word of TLS ends like any other: whether a stream is whole its own END says.
      if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) return Result::kEnded;
      Fail();
      return Result::kFailed;
  }
}

/** As Node.js names them: ERR_SSL_ and the reason. */
void TlsSession::Fail() {
  if (!failure_.empty()) return;
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  failure_ = "ERR_SSL_";
  for (const char* at = reason ? reason : "unknown"; *at != '\0'; at++) {
    failure_ += isalnum(static_cast<unsigned char>(*at)) ? static_cast<char>(toupper(*at)) : '_';
  }
}

int TlsSession::WriteOut(BIO* bio, const char* data, size_t size, size_t* written) {
  auto* session = static_cast<TlsSession*>(BIO_get_data(bio));
  session->out_.insert(session->out_.end(), data, data + size);
  *written = size;
  return 1;
}

long TlsSession::Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

unsigned int TlsSession::ClientKey(SSL* ssl, const char*, char* identity, unsigned int identitySize, unsigned char* key,
                                   unsigned int keySize) {
  auto* session = static_cast<TlsSession*>(SSL_get_ex_data(ssl, 0));
  if (session == nullptr || identitySize < sizeof kIdentity) return 0;
  memcpy(identity, kIdentity, sizeof kIdentity);
  return session->CopyKey(key, keySize);
}

unsigned int TlsSession::ServerKey(SSL* ssl, const char* identity, unsigned char* key, unsigned int keySize) {
  auto* session = static_cast<TlsSession*>(SSL_get_ex_data(ssl, 0));
  if (session == nullptr || identity == nullptr || strcmp(identity, kIdentity) != 0) return 0;
  return session->CopyKey(key, keySize);
}

unsigned int TlsSession::CopyKey(unsigned char* key, unsigned int size) const {
  if (settings_.key.size() > size) return 0;
  memcpy(key, settings_.key.data(), settings_.key.size());
  return static_cast<unsigned int>(settings_.key.size());
}

}  // namespace flocker

#endif
