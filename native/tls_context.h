#pragma once

#include "openssl.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <memory>

namespace flocker {

/** What all sessions of an environment have in common: it takes OpenSSL longer to make than a session itself. */
class TlsContext {
 public:
  /** Null where it can't be made: OpenSSL's error queue says why. */
  static std::shared_ptr<TlsContext> Make();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  SSL_CTX* get() const { return context_; }
  /** Of where a session puts its records. */
  BIO_METHOD* output() const { return output_; }

 private:
  TlsContext() = default;
  bool Configure();

  SSL_CTX* context_ = nullptr;
  BIO_METHOD* output_ = nullptr;
};

}  // namespace flocker

#endif
