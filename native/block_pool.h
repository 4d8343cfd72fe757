#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace flocker {

/**
 * Blocks that a stream is read into. They come back whenever JavaScript's garbage is collected, many at a time: some are
 * kept for the next reads, which saves the page faults, and the rest goes back to the system at once, which malloc's arenas
 * (one for each thread) would not do.
 */
class BlockPool {
 public:
  static constexpr size_t kBlockSize = 256 * 1024;

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool() {
    for (void* block : kept_) munmap(block, kBlockSize);
  }

  /** Null where there is no memory. */
  void* Take() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!kept_.empty()) {
        void* block = kept_.back();
        kept_.pop_back();
        return block;
      }
    }
    void* block = mmap(nullptr, kBlockSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return block == MAP_FAILED ? nullptr : block;
  }

  void Give(void* block) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (kept_.size() < kKept) return kept_.push_back(block);
    }
    munmap(block, kBlockSize);
  }

 private:
  static constexpr size_t kKept = 32;

  std::mutex mutex_;
  std::vector<void*> kept_;
};

/** The one owner of a block. */
class Block {
 public:
  explicit Block(std::shared_ptr<BlockPool> pool) : pool_(std::move(pool)), data_(pool_->Take()) {}
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() {
    if (data_ != nullptr) pool_->Give(data_);
  }

  char* data() const { return static_cast<char*>(data_); }

 private:
  const std::shared_ptr<BlockPool> pool_;
  void* const data_;
};

}  // namespace flocker
