// A CSI plugin for one node of the test cluster. Its volumes are directories of
// this machine, which every node can mount; that only one node at a time may is
// up to Kubernetes, which attaches them as it does block devices.
//
//	csi-plugin DRIVER NODE VOLUMES SOCKET
//
// The kubelet finds the socket in its directory plugins_registry.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// What may name a directory in the directory of the volumes.
var volumeName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

type plugin struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer
	registration.UnimplementedRegistrationServer
	driver, node, volumes, socket string
}

func (p *plugin) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              p.driver,
		Endpoint:          p.socket,
		SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (p *plugin) NotifyRegistrationStatus(_ context.Context, status *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	log.Printf("registered: %v %s", status.PluginRegistered, status.Error)
	return &registration.RegistrationStatusResponse{}, nil
}

func (p *plugin) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: p.driver, VendorVersion: "1.0.0"}, nil
}

func (p *plugin) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{}, nil
}

func (p *plugin) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

func (p *plugin) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: p.node}, nil
}

func (p *plugin) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

func (p *plugin) NodePublishVolume(_ context.Context, request *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if !volumeName.MatchString(request.VolumeId) {
		return nil, status.Errorf(codes.InvalidArgument, "%q is not the name of a volume", request.VolumeId)
	}
	if err := os.MkdirAll(request.TargetPath, 0o750); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	mounted, err := isMounted(request.TargetPath)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	if !mounted {
		source := filepath.Join(p.volumes, request.VolumeId)
		if err := syscall.Mount(source, request.TargetPath, "", syscall.MS_BIND, ""); err != nil {
			return nil, status.Errorf(codes.Internal, "failed to mount %s: %v", source, err)
		}
	}
	log.Printf("mounted %s at %s", request.VolumeId, request.TargetPath)
	return &csi.NodePublishVolumeResponse{}, nil
}

func (p *plugin) NodeUnpublishVolume(_ context.Context, request *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	// Not mounted, or no such directory: it was unmounted before.
	err := syscall.Unmount(request.TargetPath, 0)
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
		return nil, status.Errorf(codes.Internal, "failed to unmount %s: %v", request.TargetPath, err)
	}
	if err := os.Remove(request.TargetPath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	log.Printf("unmounted %s from %s", request.VolumeId, request.TargetPath)
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// Whether a volume is mounted at the directory: the directories of volumes and
// pods are on one file system, so the mount table must tell.
func isMounted(path string) (bool, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, err
	}
	line := regexp.MustCompile(`(?m)^\d+ \d+ \S+ \S+ ` + regexp.QuoteMeta(path) + ` `)
	return line.Match(mounts), nil
}

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: csi-plugin DRIVER NODE VOLUMES SOCKET")
	}
	p := &plugin{driver: os.Args[1], node: os.Args[2], volumes: os.Args[3], socket: os.Args[4]}
	if err := os.MkdirAll(filepath.Dir(p.socket), 0o750); err != nil {
		log.Fatal(err)
	}
	// That of an earlier run.
	if err := os.Remove(p.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", p.socket)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	registration.RegisterRegistrationServer(server, p)
	csi.RegisterIdentityServer(server, p)
	csi.RegisterNodeServer(server, p)
	log.Fatal(server.Serve(listener))
}
