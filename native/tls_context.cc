#include "tls_context.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <string.h>
#include <sys/auxv.h>

#include "tls_session.h"

namespace flocker {

namespace {

/** What is read from the socket at once: many records for one call. */
constexpr size_t kReadAhead = 128 * 1024;

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

long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

unsigned int ClientKey(SSL* ssl, const char*, char* identity, unsigned int identitySize, unsigned char* key,
                       unsigned int keySize) {
  const TlsSession* session = TlsSession::Of(ssl);
  if (session == nullptr || identitySize < sizeof kIdentity) return 0;
  memcpy(identity, kIdentity, sizeof kIdentity);
  return session->CopyKey(key, keySize);
}

unsigned int ServerKey(SSL* ssl, const char* identity, unsigned char* key, unsigned int keySize) {
  const TlsSession* session = TlsSession::Of(ssl);
  if (session == nullptr || identity == nullptr || strcmp(identity, kIdentity) != 0) return 0;
  return session->CopyKey(key, keySize);
}

void Keylog(const SSL* ssl, const char* line) {
  if (TlsSession* session = TlsSession::Of(ssl)) session->Learn(line);
}

}  // namespace

std::shared_ptr<TlsContext> TlsContext::Make() {
  std::shared_ptr<TlsContext> context(new TlsContext);
  if (context->Configure()) return context;
  return nullptr;
}

TlsContext::~TlsContext() {
  if (context_ != nullptr) SSL_CTX_free(context_);
  if (output_ != nullptr) BIO_meth_free(output_);
}

bool TlsContext::Configure() {
  ERR_clear_error();
  context_ = SSL_CTX_new(TLS_method());
  output_ = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "flocker-zfs");
  if (context_ == nullptr || output_ == nullptr) return false;
  BIO_meth_set_write_ex(output_, TlsSession::WriteOut);
  BIO_meth_set_ctrl(output_, Control);
  SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
  SSL_CTX_set_read_ahead(context_, 1);
  SSL_CTX_set_default_read_buffer_len(context_, kReadAhead);
  // A session is for one stream: nobody resumes it.
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context_, 0);
  SSL_CTX_set_psk_client_callback(context_, ClientKey);
  SSL_CTX_set_psk_server_callback(context_, ServerKey);
  SSL_CTX_set_keylog_callback(context_, Keylog);
  return SSL_CTX_set_ciphersuites(context_, CipherSuites()) == 1;
}

}  // namespace flocker

#endif
