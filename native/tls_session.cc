#include "tls_session.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

namespace flocker {

namespace {

/** TLS_AES_128_GCM_SHA256 (RFC 8446, appendix B.4). */
constexpr uint16_t kAes128Gcm = 0x1301;

// Labels of SSL_CTX_set_keylog_callback(3).
constexpr char kFromClient[] = "CLIENT_TRAFFIC_SECRET_0 ", kFromServer[] = "SERVER_TRAFFIC_SECRET_0 ";

}  // namespace

TlsSession::~TlsSession() {
  if (ssl_ != nullptr) SSL_free(ssl_);
  // Through a volatile pointer, which no optimiser leaves out.
  volatile uint8_t* key = settings_.key.data();
  for (size_t i = 0; i < settings_.key.size(); i++) key[i] = 0;
}

bool TlsSession::Open(Settings settings) {
  settings_ = std::move(settings);
  budget_ = KeyBudget(settings_.keyBytes);
  ERR_clear_error();
  if (settings_.context != nullptr && Attach()) return true;
  Fail();
  return false;
}

bool TlsSession::Attach() {
  ssl_ = SSL_new(settings_.context->get());
  if (ssl_ == nullptr) return false;
  BIO* in = BIO_new_socket(settings_.socket, BIO_NOCLOSE);
  BIO* out = BIO_new(settings_.context->output());
  // From here on the session owns them.
  SSL_set_bio(ssl_, in, out);
  if (in == nullptr || out == nullptr) return false;
  BIO_set_data(out, this);
  BIO_set_init(out, 1);
  SSL_set_ex_data(ssl_, 0, this);
  // The kernel must find all records after the handshake's.
  if (settings_.kernel) SSL_set_read_ahead(ssl_, 0);
  if (settings_.server) SSL_set_accept_state(ssl_);
  else SSL_set_connect_state(ssl_);
  return true;
}

TlsSession::Result TlsSession::Handshake() {
  ERR_clear_error();
  Result result = Judge(SSL_do_handshake(ssl_));
  // A peer that has not the key could offer a certificate in its place, which nobody would verify.
  if (result == Result::kDone && SSL_session_reused(ssl_) != 1) {
    failure_ = "ERR_SSL_NO_COMMON_KEY";
    return Result::kFailed;
  }
  return result == Result::kDone && settings_.kernel ? GiveToKernel() : result;
}

/** After the last bytes of the handshake, where the kernel can: without it the session goes on as it is. */
TlsSession::Result TlsSession::GiveToKernel() {
  while (outSize() > 0) {
    int error = Flush();
    if (error == EAGAIN) return Result::kAgain;
    if (error == 0) continue;
    error_ = error;
    return Result::kFailed;
  }
  settings_.kernel = false;
  SSL_set_read_ahead(ssl_, 1);
  const bool known = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl_)) == kAes128Gcm && fromClient_ && fromServer_;
  if (!known) return Result::kDone;
  auto kernel = std::make_unique<KernelTls>(settings_.socket, settings_.keyBytes);
  bool untouched = false;
  int error = settings_.server ? kernel->Begin(fromServer_, fromClient_, &untouched)
                               : kernel->Begin(fromClient_, fromServer_, &untouched);
  if (error == 0) kernel_ = std::move(kernel);
  fromClient_ = fromServer_ = {};
  if (error == 0 || untouched) return Result::kDone;
  error_ = error;
  return Result::kFailed;
}

bool TlsSession::Write(const char* data, size_t size) {
  if (kernel_) {
    kernel_->Write(data, size);
    return true;
  }
  ERR_clear_error();
  if (budget_.Spend(size) && SSL_key_update(ssl_, SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
    Fail();
    return false;
  }
  size_t written = 0;
  // What it writes to never blocks: it takes everything or fails.
  if (SSL_write_ex(ssl_, data, size, &written) == 1 && written == size) return true;
  Fail();
  return false;
}

TlsSession::Result TlsSession::Read(char* data, size_t size, size_t* count) {
  if (kernel_) return kernel_->Read(data, size, count);
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

TlsSession::Result TlsSession::Discard() {
  char bytes[16384];
  size_t count = 0;
  if (kernel_) return kernel_->Read(bytes, sizeof bytes, &count);
  // Not even decrypted.
  ssize_t size = recv(settings_.socket, bytes, sizeof bytes, MSG_DONTWAIT);
  if (size > 0) return Result::kDone;
  return size < 0 && errno == EAGAIN ? Result::kAgain : Result::kEnded;
}

void TlsSession::Close() {
  if (kernel_) return kernel_->Close();
  ERR_clear_error();
  SSL_shutdown(ssl_);
}

int TlsSession::Flush() {
  if (kernel_) return kernel_->Flush();
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

TlsSession* TlsSession::Of(const SSL* ssl) { return static_cast<TlsSession*>(SSL_get_ex_data(ssl, 0)); }

unsigned int TlsSession::CopyKey(unsigned char* key, unsigned int size) const {
  if (settings_.key.size() > size) return 0;
  memcpy(key, settings_.key.data(), settings_.key.size());
  return static_cast<unsigned int>(settings_.key.size());
}

void TlsSession::Learn(const char* line) {
  if (!settings_.kernel) return;
  // A label, the client's random number and the secret, of which nothing is copied elsewhere.
  const char* digits = strrchr(line, ' ');
  if (digits == nullptr) return;
  if (strncmp(line, kFromClient, strlen(kFromClient)) == 0) fromClient_.Parse(digits + 1);
  if (strncmp(line, kFromServer, strlen(kFromServer)) == 0) fromServer_.Parse(digits + 1);
}

}  // namespace flocker

#endif
