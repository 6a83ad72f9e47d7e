/* Named tuples in C, for the compiled parts: they are tuples, and their fields are numbers. */

#ifndef LISPFABRIC_NAMED_TUPLE_H
#define LISPFABRIC_NAMED_TUPLE_H

#include <Python.h>

enum { SOURCE, DESTINATION, PAYLOAD, DATAGRAM_FIELDS }; /* of datagram.Datagram */
enum { ADDRESS, PORT, ENDPOINT_FIELDS };                 /* of datagram.Endpoint */

/* Whether it is a tuple of that length; else -1 with a TypeError. After that PyTuple_GetItem cannot fail. */
static int
expect(PyObject *tuple, Py_ssize_t length, const char *what)
{
    if (PyTuple_Check(tuple) && PyTuple_Size(tuple) == length)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s: no tuple of %zd fields", what, length);
    return -1;
}

/* A new tuple of a NamedTuple's class, as tuple.__new__ makes it. `fields` are borrowed. */
static PyObject *
new_tuple(PyObject *class, Py_ssize_t length, PyObject *const *fields)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot((PyTypeObject *)class, Py_tp_alloc);
    PyObject *tuple = allocate((PyTypeObject *)class, length);
    if (tuple == NULL)
        return NULL;
    for (Py_ssize_t at = 0; at < length; at++) {
        Py_INCREF(fields[at]);
        PyTuple_SetItem(tuple, at, fields[at]);
    }
    return tuple;
}

#endif
