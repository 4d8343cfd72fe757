#pragma once

// Node.js's own headers have OpenSSL's with them, of the very OpenSSL that it carries; some distributions' don't.
#if __has_include(<openssl/ssl.h>)
#define FLOCKER_ZFS_OPENSSL 1
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

#include <string>

namespace flocker {

/**
 * Why the OpenSSL that Node.js itself carries can't be used; empty where it can. Its executable exports the functions, and calls to them
 * are bound when they are first made: none may be before this has said so.
 */
std::string OpensslProblem();

}  // namespace flocker
