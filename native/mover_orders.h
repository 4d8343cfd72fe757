#pragma once

#include "openssl.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "mover_answers.h"
#include "pipe_end.h"
#include "rate_bucket.h"
#include "unique_fd.h"

namespace flocker {

/** What JavaScript wants of a mover's thread, until that ends. */
class MoverOrders {
 public:
  /** What was ordered since the thread last looked. */
  struct Batch {
    std::unique_ptr<NewsAnswer> asked;
    std::optional<bool> wanted;
    std::vector<std::unique_ptr<SayAnswer>> says;
    std::vector<std::unique_ptr<ReleaseAnswer>> releases;
    std::shared_ptr<PipeEnd> source, sink;
    std::shared_ptr<RateShare> share;
    size_t left = 0;
    bool finish = false;
    std::vector<char> last;
    int milliseconds = 0;
  };

  explicit MoverOrders(State* state) : state_(state) {}

  /** Returns 0 or an errno. */
  int Open();

  // For the JavaScript thread.

  /** To be answered with news as soon as there are any, and where they are wanted with bytes. One at a time. */
  void Ask(std::unique_ptr<NewsAnswer> answer, bool bytes);
  /** Bytes are wanted with the next news, too. */
  void Want();
  void Say(std::unique_ptr<SayAnswer> answer);
  /** Sends what comes out of the pipe; with a share in a limit only what that allows. */
  void Feed(std::shared_ptr<PipeEnd> source, std::shared_ptr<RateShare> share);
  /** Puts the stream into the pipe from here on, within a DATA frame of which so much is left. */
  void Drain(std::shared_ptr<PipeEnd> sink, size_t left);
  /** Lets go of the pipe. */
  void Release(std::unique_ptr<ReleaseAnswer> answer);
  /** Lets go of the pipe, says the last words and closes; after so many milliseconds it closes anyway. */
  void Finish(std::vector<char> last, int milliseconds);
  void Cancel();

  // For the mover's thread.

  /** Nothing once it was cancelled. */
  std::optional<Batch> Take();
  /** Becomes readable with each order. */
  int descriptor() const { return wake_.get(); }
  /** To be called where it was. */
  void Woken();
  /** Takes no more, and answers all that is open: who asks for news is given these, whether he has asked already or not. */
  void Close(std::unique_ptr<NewsAnswer> asked, MoverNews ending);

 private:
  /** Changes the batch; false, without that, once nobody takes any. */
  template <typename Change>
  bool Order(Change change);

  State* const state_;
  UniqueFd wake_;
  std::mutex mutex_;
  Batch batch_;
  bool cancelled_ = false;
  bool closed_ = false;
  MoverNews ending_;
};

}  // namespace flocker

#endif
