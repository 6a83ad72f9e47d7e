/* A Map-Register that changes nothing: what refresh.RefreshTable.refresh does, compiled.

   That method is the reference; this one takes the same steps in the same order, on the same objects, and a test
   compares the two. Whoever changes one changes the other. What is done rarely, as learning, is in Python only. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include "../lisp/_named_tuple.h"

#include <stdint.h>
#include <string.h>

/* A Map-Register and its Map-Notify: first word, nonce, Key ID with algorithm and length of the MAC, MAC, records. */
enum { NONCE = 4, NONCE_END = 12, MAC_LENGTH = 15, MAC = 16, MAP_REGISTER = 3 };

/* The places of fields in the tuples of refresh.py and store.py. */
enum { KNOWN, JOURNAL, ENDPOINT, TO_CONTROL_PORT, RECEIPT, REFRESH, DATAGRAM, SEND, REGISTER_KIND, NOTIFY_KIND, WORKINGS };
enum { ACCOUNT, XTR, KEY, DIGEST, LEASE, KNOWN_SOURCE, UNSIGNED, REPLY, KNOWN_FIELDS };
enum { FIRST, MIDDLE, REPLY_MAC_LENGTH, RECORDS, REPLY_DESTINATION, REPLY_FIELDS };
enum { RECEIPT_XTR, RECEIPT_KEY_ID, RECEIPT_NONCE, RECEIPT_FIELDS = 6 };

static PyObject *name_intact, *name_receipts, *name_latest, *name_key_id, *name_renew, *name_mac;

/* Whether the MAC that should be there begins with that one; takes the same time wherever they differ. */
static int
begins_with(PyObject *mac, const unsigned char *octets, size_t length)
{
    const volatile unsigned char *one = (const unsigned char *)PyBytes_AsString(mac), *other = octets;
    unsigned char differs = 0;
    if ((size_t)PyBytes_Size(mac) < length)
        return 0;
    for (size_t at = 0; at < length; at++)
        differs |= one[at] ^ other[at];
    return differs == 0;
}

/* The untruncated MAC over `covered`, a reference to which is taken. NULL with an error. */
static PyObject *
mac_of(PyObject *known, PyObject *kind, PyObject *nonce, PyObject *covered)
{
    PyObject *digest = PyTuple_GetItem(known, DIGEST), *mac;
    if (covered == NULL)
        return NULL;
    if (digest != Py_None)
        mac = PyObject_CallFunctionObjArgs(digest, covered, NULL);
    else
        mac = PyObject_CallMethodObjArgs(PyTuple_GetItem(known, KEY), name_mac, kind, nonce, covered, NULL);
    Py_DECREF(covered);
    if (mac != NULL && !PyBytes_Check(mac)) {
        Py_DECREF(mac);
        PyErr_SetString(PyExc_TypeError, "a MAC is bytes");
        return NULL;
    }
    return mac;
}

/* A payload whose MAC is `length` zeros: what the MAC covers. `end`: where what follows the MAC begins. */
static PyObject *
covered_register(const unsigned char *payload, size_t size, size_t end, size_t unsigned_octets)
{
    size_t stop = size > end + unsigned_octets ? size - unsigned_octets : end;
    PyObject *covered = PyBytes_FromStringAndSize((const char *)payload, (Py_ssize_t)stop);
    if (covered != NULL)
        memset(PyBytes_AsString(covered) + MAC, 0, end - MAC);
    return covered;
}

/* The Map-Notify that answers: NULL with an error. `mac_begin` tells where its MAC is. */
static PyObject *
make_reply(PyObject *workings, PyObject *known, PyObject *nonce, const unsigned char *nonce_octets, size_t *mac_begin,
           size_t *mac_length)
{
    PyObject *pattern = PyTuple_GetItem(known, REPLY);
    char *first, *middle, *records;
    Py_ssize_t first_size, middle_size, records_size;
    if (expect(pattern, REPLY_FIELDS, "reply") < 0 ||
        PyBytes_AsStringAndSize(PyTuple_GetItem(pattern, FIRST), &first, &first_size) < 0 ||
        PyBytes_AsStringAndSize(PyTuple_GetItem(pattern, MIDDLE), &middle, &middle_size) < 0 ||
        PyBytes_AsStringAndSize(PyTuple_GetItem(pattern, RECORDS), &records, &records_size) < 0)
        return NULL;
    size_t length = PyLong_AsSize_t(PyTuple_GetItem(pattern, REPLY_MAC_LENGTH));
    if (length == (size_t)-1 && PyErr_Occurred())
        return NULL;
    Py_ssize_t head = first_size + (NONCE_END - NONCE) + middle_size;
    Py_ssize_t size = head + (Py_ssize_t)length + records_size;
    PyObject *covered = PyBytes_FromStringAndSize(NULL, size);
    if (covered == NULL)
        return NULL;
    char *at = PyBytes_AsString(covered);
    memcpy(at, first, (size_t)first_size);
    memcpy(at + first_size, nonce_octets, NONCE_END - NONCE);
    memcpy(at + first_size + (NONCE_END - NONCE), middle, (size_t)middle_size);
    memset(at + head, 0, length);
    memcpy(at + head + length, records, (size_t)records_size);
    PyObject *reply = PyBytes_FromStringAndSize(at, size); /* `covered` is somebody else's from now on */
    PyObject *mac = mac_of(known, PyTuple_GetItem(workings, NOTIFY_KIND), nonce, covered);
    if (reply != NULL && mac != NULL && (size_t)PyBytes_Size(mac) >= length) {
        memcpy(PyBytes_AsString(reply) + head, PyBytes_AsString(mac), length);
        *mac_begin = (size_t)head;
        *mac_length = length;
    }
    else {
        if (reply != NULL && mac != NULL)
            PyErr_SetString(PyExc_ValueError, "the MAC of a reply is too short");
        Py_CLEAR(reply);
    }
    Py_XDECREF(mac);
    return reply;
}

/* Keep what was accepted: as the last receipt of its account, and in the journal. */
static int
keep(PyObject *workings, PyObject *known, PyObject *receipts, PyObject *key_id, PyObject *receipt, PyObject *own)
{
    if (PyObject_SetItem(receipts, key_id, receipt) < 0 ||
        PyObject_SetAttr(PyTuple_GetItem(known, ACCOUNT), name_latest, receipt) < 0)
        return -1;
    PyObject *journal = PyTuple_GetItem(workings, JOURNAL);
    if (own == NULL)
        return PyList_Append(journal, receipt);
    PyObject *fields[] = {receipt, known, own};
    PyObject *entry = new_tuple(PyTuple_GetItem(workings, REFRESH), 3, fields);
    int failed = entry == NULL || PyList_Append(journal, entry) < 0;
    Py_XDECREF(entry);
    return failed ? -1 : 0;
}

/* (Send(Datagram(endpoint, destination, reply)),) */
static PyObject *
outputs_of(PyObject *workings, PyObject *known, PyObject *source, PyObject *reply)
{
    PyObject *destination = source;
    int to_control_port = PyObject_IsTrue(PyTuple_GetItem(workings, TO_CONTROL_PORT));
    if (to_control_port < 0)
        return NULL;
    if (to_control_port)
        destination = PyTuple_GetItem(PyTuple_GetItem(known, REPLY), REPLY_DESTINATION);
    PyObject *fields[] = {PyTuple_GetItem(workings, ENDPOINT), destination, reply};
    PyObject *answer = new_tuple(PyTuple_GetItem(workings, DATAGRAM), DATAGRAM_FIELDS, fields);
    if (answer == NULL)
        return NULL;
    PyObject *send = new_tuple(PyTuple_GetItem(workings, SEND), 1, &answer);
    Py_DECREF(answer);
    if (send == NULL)
        return NULL;
    PyObject *outputs = PyTuple_Pack(1, send);
    Py_DECREF(send);
    return outputs;
}

static uint64_t
number_of(const unsigned char *octets)
{
    uint64_t number = 0;
    for (int at = 0; at < 8; at++)
        number = number << 8 | octets[at];
    return number;
}

/* The entry for a payload, a new reference; NULL without an error if there is none that still holds and was learned
   from that source. */
static PyObject *
look_up(PyObject *workings, PyObject *source, const unsigned char *payload, size_t size, size_t end)
{
    PyObject *entries = PyTuple_GetItem(workings, KNOWN);
    PyObject *fixed = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(NONCE + (MAC - NONCE_END) + (size - end)));
    if (fixed == NULL)
        return NULL;
    char *at = PyBytes_AsString(fixed);
    memcpy(at, payload, NONCE);
    memcpy(at + NONCE, payload + NONCE_END, MAC - NONCE_END);
    memcpy(at + NONCE + (MAC - NONCE_END), payload + end, size - end);
    PyObject *known = PyDict_GetItemWithError(entries, fixed), *intact = NULL;
    if (known == NULL)
        goto none;
    Py_INCREF(known);
    if (expect(known, KNOWN_FIELDS, "known") < 0)
        goto refused;
    intact = PyObject_GetAttr(PyTuple_GetItem(known, LEASE), name_intact);
    if (intact == NULL)
        goto refused;
    int holds = PyObject_IsTrue(intact);
    if (holds < 0)
        goto refused;
    if (!holds) {
        PyDict_DelItem(entries, fixed);
        goto refused;
    }
    PyObject *known_source = PyTuple_GetItem(known, KNOWN_SOURCE);
    if (source != known_source) {
        if (expect(source, ENDPOINT_FIELDS, "source") < 0 || expect(known_source, ENDPOINT_FIELDS, "source") < 0)
            goto refused;
        PyObject *address = PyTuple_GetItem(source, ADDRESS), *before = PyTuple_GetItem(known_source, ADDRESS);
        if (PyObject_RichCompareBool(address, before, Py_EQ) != 1)
            goto refused;
    }
    Py_DECREF(intact);
    Py_DECREF(fixed);
    return known;
refused:
    Py_XDECREF(intact);
    Py_DECREF(known);
none:
    Py_DECREF(fixed);
    return NULL;
}

static PyObject *
refresh(PyObject *workings, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "refresh(datagram, now)");
        return NULL;
    }
    PyObject *datagram = args[0], *now = args[1];
    if (expect(datagram, DATAGRAM_FIELDS, "datagram") < 0)
        return NULL;
    PyObject *source = PyTuple_GetItem(datagram, SOURCE), *register_octets = PyTuple_GetItem(datagram, PAYLOAD);
    char *octets;
    Py_ssize_t octet_count;
    if (PyBytes_AsStringAndSize(register_octets, &octets, &octet_count) < 0)
        return NULL;
    const unsigned char *payload = (const unsigned char *)octets;
    size_t size = (size_t)octet_count;
    if (size <= MAC || payload[0] >> 4 != MAP_REGISTER)
        Py_RETURN_NONE;
    size_t length = payload[MAC_LENGTH], end = MAC + length;
    if (end > size)
        Py_RETURN_NONE; /* what was learned has records behind its MAC */
    PyObject *known = look_up(workings, source, payload, size, end);
    if (known == NULL) {
        if (PyErr_Occurred())
            return NULL;
        Py_RETURN_NONE;
    }

    PyObject *result = NULL, *receipts = NULL, *key_id = NULL, *nonce = NULL, *mac = NULL, *reply = NULL;
    PyObject *receipt = NULL, *own = NULL, *done = NULL;
    receipts = PyObject_GetAttr(PyTuple_GetItem(known, ACCOUNT), name_receipts);
    key_id = PyObject_GetAttr(PyTuple_GetItem(known, KEY), name_key_id);
    if (receipts == NULL || key_id == NULL)
        goto end;
    PyObject *last = PyObject_GetItem(receipts, key_id);
    if (last == NULL)
        goto end;
    uint64_t last_number = 0;
    if (expect(last, RECEIPT_FIELDS, "receipt") == 0)
        last_number = PyLong_AsUnsignedLongLong(PyTuple_GetItem(last, RECEIPT_NONCE));
    Py_DECREF(last);
    if (PyErr_Occurred())
        goto end;
    uint64_t number = number_of(payload + NONCE);
    if (number <= last_number)
        goto not_recognized;
    nonce = PyLong_FromUnsignedLongLong(number);
    size_t unsigned_octets = PyLong_AsSize_t(PyTuple_GetItem(known, UNSIGNED));
    if (nonce == NULL || PyErr_Occurred())
        goto end;
    PyObject *covered = covered_register(payload, size, end, unsigned_octets);
    mac = mac_of(known, PyTuple_GetItem(workings, REGISTER_KIND), nonce, covered);
    if (mac == NULL)
        goto end;
    if (!begins_with(mac, payload + MAC, length))
        goto not_recognized;

    done = PyObject_CallMethodObjArgs(PyTuple_GetItem(known, LEASE), name_renew, now, NULL);
    if (done == NULL)
        goto end;
    size_t mac_begin = 0, reply_length = 0;
    if (PyTuple_GetItem(known, REPLY) != Py_None) {
        reply = make_reply(workings, known, nonce, payload + NONCE, &mac_begin, &reply_length);
        if (reply == NULL)
            goto end;
    }
    PyObject *fields[] = {PyTuple_GetItem(known, XTR), key_id, nonce, register_octets, reply ? reply : Py_None, source};
    receipt = new_tuple(PyTuple_GetItem(workings, RECEIPT), RECEIPT_FIELDS, fields);
    if (receipt == NULL)
        goto end;
    if (source == PyTuple_GetItem(known, KNOWN_SOURCE)) { /* else it is not that alone in which they differ */
        own = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(NONCE_END - NONCE + length + reply_length));
        if (own == NULL)
            goto end;
        char *at = PyBytes_AsString(own);
        memcpy(at, payload + NONCE, NONCE_END - NONCE);
        memcpy(at + (NONCE_END - NONCE), payload + MAC, length);
        if (reply != NULL)
            memcpy(at + (NONCE_END - NONCE) + length, PyBytes_AsString(reply) + mac_begin, reply_length);
    }
    if (keep(workings, known, receipts, key_id, receipt, own) < 0)
        goto end;
    result = reply == NULL ? PyTuple_New(0) : outputs_of(workings, known, source, reply);
    goto end;
not_recognized:
    result = Py_None;
    Py_INCREF(result);
end:
    Py_XDECREF(receipts);
    Py_XDECREF(key_id);
    Py_XDECREF(nonce);
    Py_XDECREF(mac);
    Py_XDECREF(reply);
    Py_XDECREF(receipt);
    Py_XDECREF(own);
    Py_XDECREF(done);
    Py_DECREF(known);
    return result;
}

static PyMethodDef refresh_method = {"refresh", (PyCFunction)(void (*)(void))refresh, METH_FASTCALL,
                                     "refresh(datagram: Datagram, now: float) -> tuple[()] | tuple[Send] | None"};

static PyObject *
prepare(PyObject *module, PyObject *workings)
{
    (void)module;
    return expect(workings, WORKINGS, "workings") < 0 ? NULL : PyCFunction_New(&refresh_method, workings);
}

static PyMethodDef methods[] = {
    {"prepare", prepare, METH_O,
     "prepare(workings: Workings) -> Callable[[Datagram, float], tuple[()] | tuple[Send] | None]\n\n"
     "The function that does what RefreshTable.refresh does."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_refresh", "Map-Registers that change nothing.", -1,
                                        methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC
PyInit__refresh(void)
{
    const struct {
        PyObject **place;
        const char *name;
    } names[] = {{&name_intact, "intact"}, {&name_receipts, "receipts"}, {&name_latest, "latest"},
                 {&name_key_id, "key_id"}, {&name_renew, "renew"},       {&name_mac, "mac"}};
    for (size_t at = 0; at < sizeof names / sizeof *names; at++)
        if ((*names[at].place = PyUnicode_InternFromString(names[at].name)) == NULL)
            return NULL;
    return PyModule_Create(&definition);
}
