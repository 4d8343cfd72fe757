#pragma once

#include "openssl.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <memory>
#include <string>
#include <vector>

#include "incoming.h"
#include "mover_answers.h"
#include "mover_orders.h"
#include "outgoing.h"
#include "tls_session.h"
#include "unique_fd.h"

namespace flocker {

/**
 * Moves a stream between a pipe and a TLS connection, on a thread of its own: DATA frames in one direction, and whatever JavaScript
 * says and is told besides. It decides nothing.
 */
class DataMover : public Resource {
 public:
  explicit DataMover(State* state) : state_(state), orders_(state), outgoing_(state) {}
  ~DataMover() override;

  /**
   * Takes the socket and starts; the handshake may take so many milliseconds. Returns 0, an errno, or -1 where `failure` says why.
   */
  int Start(UniqueFd socket, TlsSession::Settings settings, int milliseconds);
  const std::string& failure() const { return tls_.failure(); }

  /** What it is told to do. */
  MoverOrders& orders() { return orders_; }

  void Cancel() override { orders_.Cancel(); }
  void Join() override { thread_.Join(); }

 private:
  bool TakeOrders();
  void Run();
  bool Step();
  bool Secure();
  bool Finishing();
  bool Discard();
  bool Broken() const;
  void DropPipes();
  void Wait();
  int Milliseconds(int64_t now);
  void Publish();
  uint64_t Moved() const;
  bool SinkFull() const;
  bool HasNews();
  void Close();

  State* const state_;
  Thread thread_;
  MoverOrders orders_;

  // The thread's own.
  UniqueFd socket_;
  TlsSession tls_;
  Outgoing outgoing_;
  Incoming incoming_;
  std::unique_ptr<NewsAnswer> asked_;
  bool wanted_ = false;
  int64_t now_ = 0;
  bool secured_ = false, done_ = false;
  int64_t securedBy_ = 0;
  int error_ = 0;
  bool finishing_ = false, saidLast_ = false, halfClosed_ = false;
  int64_t deadline_ = 0;
  std::vector<char> last_;
  int64_t sinkFullSince_ = 0, published_ = 0, brokenSince_ = 0;
  MoverNews told_;  // what was published last
};

}  // namespace flocker

#endif
