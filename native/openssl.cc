#include "openssl.h"

#include <dlfcn.h>

namespace flocker {

#ifdef FLOCKER_ZFS_OPENSSL

namespace {

/** All that is called. */
constexpr const char* kFunctions[] = {
    "BIO_get_data",
    "BIO_meth_free",
    "BIO_meth_new",
    "BIO_meth_set_ctrl",
    "BIO_meth_set_write_ex",
    "BIO_new",
    "BIO_new_socket",
    "BIO_set_data",
    "BIO_set_init",
    "ERR_clear_error",
    "ERR_peek_last_error",
    "ERR_reason_error_string",
    "EVP_sha256",
    "HMAC",
    "SSL_CIPHER_get_protocol_id",
    "SSL_CTX_ctrl",
    "SSL_CTX_free",
    "SSL_CTX_new",
    "SSL_CTX_set_ciphersuites",
    "SSL_CTX_set_default_read_buffer_len",
    "SSL_CTX_set_keylog_callback",
    "SSL_CTX_set_num_tickets",
    "SSL_CTX_set_psk_client_callback",
    "SSL_CTX_set_psk_server_callback",
    "SSL_do_handshake",
    "SSL_free",
    "SSL_get_current_cipher",
    "SSL_get_error",
    "SSL_get_ex_data",
    "SSL_key_update",
    "SSL_new",
    "SSL_read_ex",
    "SSL_session_reused",
    "SSL_set_accept_state",
    "SSL_set_bio",
    "SSL_set_connect_state",
    "SSL_set_ex_data",
    "SSL_set_read_ahead",
    "SSL_shutdown",
    "SSL_write_ex",
    "TLS_method",
};

// Within a major version OpenSSL only adds (its versioning policy): a newer minor one has all that the headers have.
bool Matches(unsigned long loaded) {
  constexpr unsigned long headers = OPENSSL_VERSION_NUMBER;
  return loaded >> 28 == headers >> 28 && loaded >> 20 >= headers >> 20;
}

std::string Describe(unsigned long version) {
  return std::to_string(version >> 28) + "." + std::to_string(version >> 20 & 0xff);
}

}  // namespace

std::string OpensslProblem() {
  for (const char* name : kFunctions) {
    if (dlsym(RTLD_DEFAULT, name) == nullptr) return std::string("this Node.js does not export OpenSSL's ") + name;
  }
  auto version = reinterpret_cast<unsigned long (*)()>(dlsym(RTLD_DEFAULT, "OpenSSL_version_num"));
  unsigned long loaded = version == nullptr ? 0 : version();
  if (Matches(loaded)) return {};
  return "the addon was built for OpenSSL " + Describe(OPENSSL_VERSION_NUMBER) + ", and this Node.js carries " +
         Describe(loaded);
}

#else

std::string OpensslProblem() { return "the addon was built without OpenSSL's headers, which this Node.js's lack"; }

#endif

}  // namespace flocker
