#include "data_mover.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace flocker {

namespace {

/** How often JavaScript is told of progress alone: after so long, or so much. */
constexpr int kProgressMilliseconds = 50;
constexpr uint64_t kProgressBytes = 4 * 1024 * 1024;
/** For how long a sink has to take nothing before JavaScript is told. */
constexpr int kFullMilliseconds = 500;

/** How long a connection that takes nothing any more is still read from. */
constexpr int kBrokenMilliseconds = 250;

int64_t NowMilliseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

}  // namespace

DataMover::~DataMover() {
  Cancel();
  Join();
}

int DataMover::Start(UniqueFd socket, TlsSession::Settings settings, int milliseconds) {
  int error = orders_.Open();
  if (error != 0) return error;
  socket_ = std::move(socket);
  settings.socket = socket_.get();
  securedBy_ = NowMilliseconds() + milliseconds;
  if (!tls_.Open(std::move(settings))) return -1;
  return thread_.Start([this] { Run(); });
}

void DataMover::Run() {
  Thread::WorkInBackground();
  while (TakeOrders() && !done_) {
    now_ = NowMilliseconds();
    bool busy = Step();
    Publish();
    if (!busy && !done_) Wait();
  }
  Close();
}

/** False once it was cancelled. */
bool DataMover::TakeOrders() {
  auto orders = orders_.Take();
  if (!orders) return false;
  // With what else was ordered, neither before it nor after: who has a pipe filled wants no bytes of what goes there.
  if (orders->asked) asked_ = std::move(orders->asked);
  wanted_ = orders->wanted.value_or(wanted_);
  for (auto& answer : orders->says) outgoing_.Say(std::move(answer));
  if (orders->source) outgoing_.Feed(std::move(orders->source), std::move(orders->share));
  if (orders->sink) incoming_.Drain(std::move(orders->sink), orders->left);
  for (auto& answer : orders->releases) {
    DropPipes();
    state_->Post(std::move(answer));
  }
  if (orders->finish && !finishing_) {
    DropPipes();
    finishing_ = true;
    last_ = std::move(orders->last);
    deadline_ = NowMilliseconds() + orders->milliseconds;
  }
  return true;
}

/** What the peer said before it hung up can still be read, for so long, and says why. */
bool DataMover::Broken() const { return brokenSince_ != 0 && now_ - brokenSince_ >= kBrokenMilliseconds; }

void DataMover::DropPipes() {
  outgoing_.Drop();
  incoming_.Drop();
}

/** Does what can be done now; false if that was nothing. */
bool DataMover::Step() {
  if (finishing_ && now_ >= deadline_) {
    done_ = true;
    return true;
  }
  if (!secured_ && !Secure()) return false;
  bool busy = !outgoing_.failed && outgoing_.Step(tls_, now_);
  if (finishing_) {
    busy = Finishing() || busy;
  } else {
    busy = incoming_.Step(tls_, asked_ && wanted_, now_) || busy;
  }
  if (outgoing_.failed && brokenSince_ == 0) brokenSince_ = now_;
  done_ = done_ || incoming_.failed || (outgoing_.failed && (incoming_.ended || finishing_ || Broken()));
  return busy;
}

/** Goes on with the handshake; whether it is over and went well. */
bool DataMover::Secure() {
  auto result = tls_.Handshake();
  while (tls_.outSize() > 0 && tls_.Flush() == 0) continue;
  secured_ = result == TlsSession::Result::kDone;
  done_ = !secured_ && result != TlsSession::Result::kAgain;
  // Both ends can wait for ever: one bit of a record's length may have changed on the way.
  if (!secured_ && !done_ && now_ >= securedBy_) {
    done_ = true;
    error_ = ETIMEDOUT;
  }
  return secured_;
}

/** The last words, the end of TLS, the end of TCP, and what the peer still says, which nobody wants. */
bool DataMover::Finishing() {
  if (!saidLast_) {
    if (!outgoing_.empty(tls_)) return false;
    if (!last_.empty()) tls_.Write(last_.data(), last_.size());
    tls_.Close();
    saidLast_ = true;
    return true;
  }
  if (tls_.outSize() > 0) return false;
  if (!halfClosed_) {
    if (!tls_.holdsBack()) shutdown(socket_.get(), SHUT_WR);
    halfClosed_ = true;
    return true;
  }
  return Discard();
}

/** Closing with unread bytes would make the kernel send a reset, which can overtake the last words. */
bool DataMover::Discard() {
  auto result = tls_.Discard();
  done_ = done_ || result == TlsSession::Result::kEnded || result == TlsSession::Result::kFailed;
  return result != TlsSession::Result::kAgain;
}

void DataMover::Wait() {
  pollfd polled[4] = {{orders_.descriptor(), POLLIN, 0}, {socket_.get(), 0, 0}, {outgoing_.waitsFor(), POLLIN, 0},
                      {incoming_.waitsFor(), POLLOUT, 0}};
  if (!secured_ || halfClosed_ || incoming_.waitsForSocket()) polled[1].events |= POLLIN;
  if (tls_.outSize() > 0 && !outgoing_.failed) polled[1].events |= POLLOUT;
  // Not even its end is of interest, and poll would tell of that for ever.
  if (polled[1].events == 0) polled[1].fd = -1;
  bool full = polled[3].fd >= 0;
  if (full && sinkFullSince_ == 0) sinkFullSince_ = now_;
  poll(polled, 4, Milliseconds(now_));
  if (!full || polled[3].revents != 0) sinkFullSince_ = 0;
  if (polled[0].revents != 0) orders_.Woken();
}

/** How long to wait at most, or -1. */
int DataMover::Milliseconds(int64_t now) {
  int64_t least = -1;
  auto until = [&](int64_t milliseconds) {
    if (least < 0 || milliseconds < least) least = std::max<int64_t>(0, milliseconds);
  };
  // Nothing is due that can't be done then: it would be due again at once, and for ever.
  int gathering = outgoing_.Milliseconds(now);
  if (gathering >= 0 && tls_.outSize() == 0) until(gathering);
  if (int arriving = incoming_.Milliseconds(now); arriving >= 0) until(arriving);
  if (!secured_) until(securedBy_ - now);
  if (finishing_) until(deadline_ - now);
  if (brokenSince_ != 0) until(brokenSince_ + kBrokenMilliseconds - now);
  if (asked_ == nullptr) return static_cast<int>(least);
  if (Moved() != told_.moved) until(published_ + kProgressMilliseconds - now);
  if (sinkFullSince_ != 0 && !told_.sinkFull) until(sinkFullSince_ + kFullMilliseconds - now);
  return static_cast<int>(least);
}

/** Of the stream; a mover has one end of a pipe. */
uint64_t DataMover::Moved() const { return outgoing_.moved + incoming_.moved; }

bool DataMover::SinkFull() const {
  return sinkFullSince_ != 0 && now_ - sinkFullSince_ >= kFullMilliseconds;
}

/** Whether there is anything that JavaScript should know now. */
bool DataMover::HasNews() {
  if (incoming_.hasBytes() || done_) return true;
  if (outgoing_.ended != told_.sourceEnded || incoming_.ended != told_.ended) return true;
  if (SinkFull() != told_.sinkFull) return true;
  uint64_t moved = Moved() - told_.moved;
  return moved >= kProgressBytes || (moved > 0 && now_ - published_ >= kProgressMilliseconds);
}

void DataMover::Publish() {
  if (asked_ == nullptr || done_ || !HasNews()) return;
  std::unique_ptr<NewsAnswer> answer = std::move(asked_);
  told_.moved = Moved();
  told_.sourceEnded = outgoing_.ended;
  told_.ended = incoming_.ended;
  told_.sinkFull = SinkFull();
  answer->news = told_;
  answer->news.bytes = incoming_.TakeBytes();
  published_ = now_;
  state_->Post(std::move(answer));
}

/** The end, of whatever kind. Everything that was asked for gets its answer. */
void DataMover::Close() {
  DropPipes();
  outgoing_.Refuse();
  // Where TLS failed, the alert that says why.
  while (!finishing_ && tls_.outSize() > 0 && tls_.Flush() == 0) continue;
  socket_.Reset();
  MoverNews ending = told_;
  ending.moved = Moved();
  ending.bytes = incoming_.TakeBytes();
  ending.closed = true;
  ending.failure = tls_.failure();
  if (error_ == 0) error_ = outgoing_.error != 0 ? outgoing_.error : tls_.error();
  ending.error = error_;
  orders_.Close(std::move(asked_), std::move(ending));
}

}  // namespace flocker

#endif
