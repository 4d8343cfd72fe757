#pragma once

#include "openssl.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <memory>
#include <utility>
#include <mutex>
#include <optional>
#include <vector>

#include "incoming.h"
#include "mover_answers.h"
#include "outgoing.h"
#include "pipe_end.h"
#include "tls_session.h"
#include "unique_fd.h"

namespace flocker {

/**
 * Moves a stream between a pipe and a TLS connection, on a thread of its own: DATA frames in one direction, and whatever JavaScript
 * says and is told besides. It decides nothing. The functions are for the JavaScript thread.
 */
class DataMover : public Resource {
 public:
  explicit DataMover(State* state) : state_(state), outgoing_(state) {}
  ~DataMover() override;

  /**
   * Takes the socket and starts; the handshake may take so many milliseconds. Returns 0, an errno, or -1 where `failure` says why.
   */
  int Start(UniqueFd socket, TlsSession::Settings settings, int milliseconds);
  const std::string& failure() const { return tls_.failure(); }

  /** To be answered with news as soon as there are any, and where they are wanted with bytes. One at a time. */
  void Ask(std::unique_ptr<NewsAnswer> answer, bool bytes);
  /** Bytes are wanted with the next news, too. */
  void Want();
  void Say(std::unique_ptr<SayAnswer> answer);
  /** Sends what comes out of the pipe; where it is limited only what is granted. */
  void Feed(std::shared_ptr<PipeEnd> source, bool limited);
  void Grant(uint64_t bytes);
  /** Puts the stream into the pipe from here on, within a DATA frame of which so much is left. */
  void Drain(std::shared_ptr<PipeEnd> sink, size_t left);
  /** Lets go of the pipe. */
  void Release(std::unique_ptr<ReleaseAnswer> answer);
  /** Lets go of the pipe, says the last words and closes; after so many milliseconds it closes anyway. */
  void Finish(std::vector<char> last, int milliseconds);

  void Cancel() override;
  void Join() override { thread_.Join(); }

 private:
  /** What JavaScript wants of the thread. */
  struct Orders {
    std::unique_ptr<NewsAnswer> asked;
    std::optional<bool> wanted;
    std::vector<std::unique_ptr<SayAnswer>> says;
    std::vector<std::unique_ptr<ReleaseAnswer>> releases;
    std::shared_ptr<PipeEnd> source, sink;
    bool limited = false;
    uint64_t granted = 0;
    size_t left = 0;
    bool finish = false;
    std::vector<char> last;
    int64_t deadline = 0;
  };

  /** Changes the orders; false, without that, once nobody takes any. */
  template <typename Change>
  bool Order(Change change);
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
  UniqueFd wake_;

  std::mutex mutex_;
  Orders orders_;
  bool cancelled_ = false;
  bool over_ = false;  // nobody takes orders any more
  MoverNews ending_;   // for whoever asks then

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
