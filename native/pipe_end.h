#pragma once

#include <memory>

#include "unique_fd.h"

namespace flocker {

/**
 * Our end of a pipe, closed once nobody uses it any more: whoever was told to stop can't find another file behind its number.
 */
class PipeEnd {
 public:
  explicit PipeEnd(UniqueFd fd) : fd_(std::move(fd)) {}
  int get() const { return fd_.get(); }

 private:
  const UniqueFd fd_;
};

}  // namespace flocker
