#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "library.h"

namespace flocker {

/** An nvlist in its packed form (native encoding); JavaScript reads and writes these bytes, see src/lzc/nvlist.ts. */
using Packed = std::vector<uint8_t>;

/** The pairs of these names out of a packed list (the kernel's), as a packed list; empty where the bytes are not one. */
Packed Pick(const uint8_t* bytes, size_t size, const std::vector<std::string>& names);

/** The one owner of an nvlist_t. */
class Nvlist {
 public:
  explicit Nvlist(const Library& library) : library_(library) {}
  ~Nvlist() { Reset(); }
  Nvlist(const Nvlist&) = delete;
  Nvlist& operator=(const Nvlist&) = delete;

  nvlist* get() const { return list_; }
  /** No list, or one without pairs. */
  bool empty() const { return list_ == nullptr || library_.nvlist_empty(list_) != 0; }
  /** For a C function that gives back a list which its caller must free. */
  nvlist** Out();
  void Reset();
  /** Returns 0 or an errno. Empty bytes mean no list (NULL). */
  int Unpack(const Packed& bytes);
  /** Returns 0 or an errno. No list gives empty bytes. */
  int Pack(Packed* bytes) const;

 private:
  const Library& library_;
  nvlist* list_ = nullptr;
};

}  // namespace flocker
