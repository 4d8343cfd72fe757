#pragma once

#include <napi.h>

#include "arguments.h"
#include "nvlist.h"
#include "operations.h"

namespace flocker {

/** A function of the shape int(nvlist, nvlist** errors). */
using ListFunction = int (*Library::*)(nvlist*, nvlist**);
/** A function of the shape int(name). */
using NameFunction = int (*Library::*)(const char*);
/** A function of the shape int(name, name). */
using TwoNamesFunction = int (*Library::*)(const char*, const char*);
/** A function of the shape int(name, nvlist** answer). */
using AnswerFunction = int (*Library::*)(const char*, nvlist**);
/** A function of the shape int(name, nvlist, nvlist** answer or errors). */
using QuestionFunction = int (*Library::*)(const char*, nvlist*, nvlist**);

template <ListFunction function>
Napi::Value CallWithList(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Packed packed = arguments.List(0);
  if (!arguments.ok()) return {};
  return Call(info, [packed](const Library& library, Outcome& outcome) {
    Nvlist list(library), errors(library);
    if ((outcome.error = list.Unpack(packed)) != 0) return;
    outcome.error = (library.*function)(list.get(), errors.Out());
    errors.Pack(&outcome.list);
  });
}

template <NameFunction function>
Napi::Value CallWithName(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  if (!arguments.ok()) return {};
  return Call(info, [name](const Library& library, Outcome& outcome) {
    if (Has(library.*function, outcome)) outcome.error = (library.*function)(name.c_str());
  });
}

template <TwoNamesFunction function>
Napi::Value CallWithTwoNames(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string first = arguments.Text(0), second = arguments.Text(1);
  if (!arguments.ok()) return {};
  return Call(info, [first, second](const Library& library, Outcome& outcome) {
    outcome.error = (library.*function)(first.c_str(), second.c_str());
  });
}

template <AnswerFunction function>
Napi::Value CallForList(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  if (!arguments.ok()) return {};
  return Call(info, [name](const Library& library, Outcome& outcome) {
    if (!Has(library.*function, outcome)) return;
    Nvlist answer(library);
    outcome.error = (library.*function)(name.c_str(), answer.Out());
    if (outcome.error == 0) outcome.error = answer.Pack(&outcome.list);
  });
}

template <QuestionFunction function>
Napi::Value CallWithNameAndList(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  Packed packed = arguments.List(1);
  if (!arguments.ok()) return {};
  return Call(info, [name, packed](const Library& library, Outcome& outcome) {
    if (!Has(library.*function, outcome)) return;
    Nvlist list(library), answer(library);
    if ((outcome.error = list.Unpack(packed)) != 0) return;
    outcome.error = (library.*function)(name.c_str(), list.get(), answer.Out());
    answer.Pack(&outcome.list);
  });
}

}  // namespace flocker
