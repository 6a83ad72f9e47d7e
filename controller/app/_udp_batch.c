/* Many datagrams in one system call: what `receive` and `send` of udp_batch do, compiled.

   Through ctypes, writing and reading the kernel's structures costs as much as the kernel takes for them. Here nothing
   is copied on the way out, and the objects for what came in are made at once. The interpreter's lock is kept: no call
   waits for anything. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#define _GNU_SOURCE
#include "../lisp/_named_tuple.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { MOST = 256 }; /* datagrams in one call */

/* Memory that no datagram has touched is none. Datagrams that all begin at multiples of a power of two would share a
   few lines of the processor's cache, and drive each other out. */
enum { RECEIVE_ROOM = 65536 + 13 * 64 };

/* One set serves every socket: what is in it is copied before any Python runs, in this thread or another. */
static char payloads[MOST][RECEIVE_ROOM];
static struct sockaddr_in6 peers[MOST]; /* the longer kind */

static struct msghdr
header(void *address, size_t address_length, struct iovec *vector)
{
    return (struct msghdr){
        .msg_name = address, .msg_namelen = (socklen_t)address_length, .msg_iov = vector, .msg_iovlen = 1};
}

/* Datagram(endpoint, here, payload) of one that came from `peer`. */
static PyObject *
datagram_of(PyObject *class, PyObject *payload, PyObject *peer, PyObject *here, PyObject *known, PyObject *meet)
{
    if (payload == NULL || peer == NULL)
        return NULL;
    PyObject *endpoint = PyDict_GetItemWithError(known, peer);
    if (endpoint != NULL)
        Py_INCREF(endpoint);
    else if (PyErr_Occurred() || (endpoint = PyObject_CallFunctionObjArgs(meet, peer, NULL)) == NULL)
        return NULL;
    PyObject *fields[] = {endpoint, here, payload};
    PyObject *datagram = new_tuple(class, DATAGRAM_FIELDS, fields);
    Py_DECREF(endpoint);
    return datagram;
}

static PyObject *
receive(PyObject *module, PyObject *args)
{
    int descriptor;
    unsigned int limit;
    PyObject *here, *known, *meet, *class;
    (void)module;
    if (!PyArg_ParseTuple(args, "iIOO!OO", &descriptor, &limit, &here, &PyDict_Type, &known, &meet, &class))
        return NULL;
    if (limit > MOST)
        limit = MOST;
    struct iovec vectors[MOST];
    struct mmsghdr headers[MOST];
    for (unsigned int at = 0; at < limit; at++) {
        vectors[at] = (struct iovec){.iov_base = payloads[at], .iov_len = RECEIVE_ROOM};
        headers[at].msg_hdr = header(&peers[at], sizeof peers[at], &vectors[at]);
    }
    int got = recvmmsg(descriptor, headers, limit, MSG_DONTWAIT, NULL);
    if (got < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    PyObject *octets[MOST], *names[MOST];
    for (int at = 0; at < got; at++) {
        octets[at] = PyBytes_FromStringAndSize(payloads[at], (Py_ssize_t)headers[at].msg_len);
        names[at] = PyBytes_FromStringAndSize((char *)&peers[at], (Py_ssize_t)headers[at].msg_hdr.msg_namelen);
    }
    PyObject *found = PyList_New(got);
    for (int at = 0; at < got; at++) {
        PyObject *datagram = NULL;
        if (found != NULL && (datagram = datagram_of(class, octets[at], names[at], here, known, meet)) == NULL)
            Py_CLEAR(found);
        if (datagram != NULL)
            PyList_SetItem(found, at, datagram);
        Py_XDECREF(octets[at]);
        Py_XDECREF(names[at]);
    }
    return found;
}

/* The kernel's form of an endpoint, a new reference: remembered by the identity of the object, or found. */
static PyObject *
kernel_address(PyObject *endpoint, PyObject *known, PyObject *find)
{
    PyObject *identity = PyLong_FromVoidPtr(endpoint);
    if (identity == NULL)
        return NULL;
    PyObject *entry = PyDict_GetItemWithError(known, identity), *address = NULL;
    Py_DECREF(identity);
    if (entry == NULL)
        address = PyErr_Occurred() ? NULL : PyObject_CallFunctionObjArgs(find, endpoint, NULL);
    else if (expect(entry, 2, "known address") == 0) {
        address = PyTuple_GetItem(entry, 1);
        Py_INCREF(address);
    }
    if (address != NULL && !PyBytes_Check(address)) {
        PyErr_SetString(PyExc_TypeError, "an address of the kernel is bytes");
        Py_CLEAR(address);
    }
    return address;
}

static PyObject *
send_some(PyObject *module, PyObject *args)
{
    int descriptor, sent = 0;
    Py_ssize_t start, longest, address_length;
    PyObject *datagrams, *known, *find;
    (void)module;
    if (!PyArg_ParseTuple(args, "iO!nnnO!O", &descriptor, &PyList_Type, &datagrams, &start, &longest, &address_length,
                          &PyDict_Type, &known, &find))
        return NULL;
    struct iovec vectors[MOST];
    struct mmsghdr headers[MOST];
    PyObject *kept[2 * MOST]; /* what the kernel reads stays while it does */
    size_t count = 0;
    while (count < MOST && start + (Py_ssize_t)count < PyList_Size(datagrams)) {
        PyObject *datagram = PyList_GetItem(datagrams, start + (Py_ssize_t)count), *address;
        char *octets;
        Py_ssize_t length;
        if (expect(datagram, DATAGRAM_FIELDS, "datagram") < 0 ||
            PyBytes_AsStringAndSize(PyTuple_GetItem(datagram, PAYLOAD), &octets, &length) < 0 ||
            (address = kernel_address(PyTuple_GetItem(datagram, DESTINATION), known, find)) == NULL)
            break;
        if (length > longest || PyBytes_Size(address) != address_length) {
            Py_DECREF(address);
            break;
        }
        Py_INCREF(datagram);
        kept[2 * count] = datagram;
        kept[2 * count + 1] = address;
        vectors[count] = (struct iovec){.iov_base = octets, .iov_len = (size_t)length};
        headers[count].msg_hdr = header(PyBytes_AsString(address), (size_t)address_length, &vectors[count]);
        count++;
    }
    int failed = PyErr_Occurred() != NULL;
    if (!failed && count > 0)
        sent = sendmmsg(descriptor, headers, (unsigned int)count, MSG_DONTWAIT);
    for (size_t at = 0; at < 2 * count; at++)
        Py_DECREF(kept[at]);
    return failed ? NULL : PyLong_FromLong(sent > 0 ? sent : 0);
}

static PyMethodDef methods[] = {
    {"receive", receive, METH_VARARGS, "See udp_batch.receive."},
    {"send", send_some, METH_VARARGS, "See udp_batch.send."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_udp_batch", "Many datagrams in one system call.", -1,
                                        methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC
PyInit__udp_batch(void)
{
    return PyModule_Create(&definition);
}
